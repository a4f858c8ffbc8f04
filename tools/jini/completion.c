/*
 * The completion script for bash. It finds the verb among the words before the cursor, then
 * completes the value of the option before the cursor, the options of the verb, verbs, users and
 * tiers of the database, or files where arguments are files. It needs nothing but bash; where the
 * database does not answer, there is nothing to complete.
 */
#include "command.h"
#include "help.h"

#include <string.h>

static const char script_find[] = "    while ((i < COMP_CWORD)); do\n"
                                  "        case ${COMP_WORDS[i]} in";

static const char script_find_end[] = "        -*) ;;\n"
                                      "        *)\n"
                                      "            if [[ -n $group ]]; then\n"
                                      "                verb=\"$group ${COMP_WORDS[i]}\"\n"
                                      "                break\n"
                                      "            fi\n"
                                      "            case ${COMP_WORDS[i]} in";

static const char script_group_end[] = "            *)\n"
                                       "                verb=${COMP_WORDS[i]}\n"
                                       "                break\n"
                                       "                ;;\n"
                                       "            esac\n"
                                       "            ;;\n"
                                       "        esac\n"
                                       "        ((i++))\n"
                                       "    done";

static const char script_reply[] =
    "    case $kind in\n"
    "    file)\n"
    "        compopt -o filenames\n"
    "        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
    "        ;;\n"
    "    directory)\n"
    "        compopt -o filenames\n"
    "        mapfile -t COMPREPLY < <(compgen -d -- \"$word\")\n"
    "        ;;\n"
    "    users)\n"
    "        while read -r _ name _; do\n"
    "            [[ $name != \"$word\"* ]] || COMPREPLY+=(\"$name\")\n"
    "        done < <(\"${COMP_WORDS[0]}\" \"${db[@]}\" user list --limit 1000 2>/dev/null |\n"
    "            { read -r _; cat; })\n"
    "        ;;\n"
    "    tiers)\n"
    "        while read -r name _; do\n"
    "            [[ $name != \"$word\"* ]] || COMPREPLY+=(\"$name\")\n"
    "        done < <(\"${COMP_WORDS[0]}\" \"${db[@]}\" tier list 2>/dev/null | { read -r _; cat; "
    "})\n"
    "        ;;\n"
    "    words) mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\") ;;\n"
    "    esac\n"
    "}\n"
    "complete -F _jini jini";

/* ---- Finding the verb ---- */

static void put_find(void)
{
    output_text(script_find);
    for (const struct option_row *row = table_globals; row->name; row++) {
        if (row->kind == VALUE_DIRECTORY)
            output_line("        --%s) db=(--%s \"${COMP_WORDS[++i]}\") ;;", row->name, row->name);
        else if (row->kind != VALUE_NONE)
            output_line("        --%s) ((i++)) ;;", row->name);
    }
    output_text(script_find_end);
    for (const struct verb_group *group = table_groups; group->name; group++)
        output_line("            %s) group=%s ;;", group->name, group->name);
    output_text(script_group_end);
}

/* ---- What may follow ---- */

/* An option of a verb is called "verb:--name" in the script, a global one "*:--name". */
static void put_pattern(const char *verb, const struct option_row *row)
{
    const char *quote = verb ? "'" : "";
    const char *name = verb ? verb : "*";
    if (row->letter)
        output_line("    %s%s%s:--%s | %s%s%s:-%c)", quote, name, quote, row->name, quote, name,
                    quote, row->letter);
    else
        output_line("    %s%s%s:--%s)", quote, name, quote, row->name);
}

static void put_option_value(const char *verb, const struct option_row *row)
{
    if (row->kind == VALUE_NONE)
        return;
    put_pattern(verb, row);
    switch (row->kind) {
    case VALUE_FILE:
        output_line("        kind='file'");
        break;
    case VALUE_DIRECTORY:
        output_line("        kind=directory");
        break;
    case VALUE_CHOICE:
        output_line("        kind=words");
        output_line("        words='%s'", row->choices);
        output_line("        words=${words//|/ }");
        break;
    case VALUE_SETTING:
        output_line("        kind=words");
        output_line("        compopt -o nospace");
        output_line("        words='");
        for (size_t i = 0; jini_options_info(i); i++)
            output_line("            %s=", jini_options_info(i)->name);
        output_line("        '");
        break;
    case VALUE_TEXT:
        output_line("        kind=%s", strcmp(row->value, "TIER") == 0 ? "tiers" : "none");
        break;
    default:
        output_line("        kind=none");
    }
    output_line("        ;;");
}

static void put_values(void)
{
    output_line("    case $verb:$before in");
    for (const struct option_row *row = table_globals; row->name; row++)
        put_option_value(NULL, row);
    for (const struct verb *verb = table_verbs; verb->name; verb++) {
        for (const struct option_row *row = verb->options; row->name; row++)
            put_option_value(verb->name, row);
    }
    output_line("    esac");
}

static void put_option_names(const struct option_row *rows)
{
    for (; rows->name; rows++)
        output_line("            --%s", rows->name);
}

static void put_options(void)
{
    output_line("    if [[ -z $kind && $word == -* ]]; then");
    output_line("        kind=words");
    output_line("        words='");
    put_option_names(table_globals);
    output_line("        '");
    output_line("        case $verb in");
    for (const struct verb *verb = table_verbs; verb->name; verb++) {
        if (!verb->options->name)
            continue;
        output_line("        '%s') words+='", verb->name);
        put_option_names(verb->options);
        output_line("            ' ;;");
    }
    output_line("        esac");
    output_line("    fi");
}

static void put_group_verbs(const char *group)
{
    output_line("        %s) words='", group ? group : "''");
    for (const struct verb *verb = table_verbs; verb->name; verb++) {
        if (group ? table_is_in_group(verb, group) : help_is_alone(verb))
            output_line("            %s", table_last_word(verb));
    }
    for (const struct verb_group *row = table_groups; !group && row->name; row++)
        output_line("            %s", row->name);
    output_line("            ' ;;");
}

static void put_verbs(void)
{
    output_line("    if [[ -z $kind && -z $verb ]]; then");
    output_line("        kind=words");
    output_line("        case $group in");
    put_group_verbs(NULL);
    for (const struct verb_group *group = table_groups; group->name; group++)
        put_group_verbs(group->name);
    output_line("        esac");
    output_line("    fi");
}

/* "help" takes what a command line begins with. */
static void put_help_words(void)
{
    output_line("    if [[ -z $kind && $verb == help ]]; then");
    output_line("        kind=words");
    output_line("        case $before in");
    output_line("        help) words='");
    for (const struct verb *verb = table_verbs; verb->name; verb++) {
        if (help_is_alone(verb))
            output_line("            %s", verb->name);
    }
    for (const struct verb_group *group = table_groups; group->name; group++)
        output_line("            %s", group->name);
    for (const struct help_topic *topic = help_topics; topic->name; topic++)
        output_line("            %s", topic->name);
    output_line("            ' ;;");
    for (const struct verb_group *group = table_groups; group->name; group++)
        put_group_verbs(group->name);
    output_line("        esac");
    output_line("    fi");
}

/* What the first argument of a verb is called by the database; NULL: nothing that it knows. */
static const char *kind_of_argument(const struct verb *verb)
{
    const char *name = verb->arguments->name;
    if (name && strcmp(name, "USER") == 0)
        return "users";
    return name && table_is_in_group(verb, "tier") ? "tiers" : NULL;
}

static void put_records(void)
{
    output_line("    if [[ -z $kind ]] && ((COMP_CWORD == i + 1)); then");
    output_line("        case $verb in");
    for (const struct verb *verb = table_verbs; verb->name; verb++) {
        const char *kind = kind_of_argument(verb);
        if (kind)
            output_line("        '%s') kind=%s ;;", verb->name, kind);
    }
    output_line("        esac");
    output_line("    fi");
}

static void put_files(void)
{
    output_line("    if [[ -z $kind ]]; then");
    output_line("        case $verb in");
    for (const struct verb *verb = table_verbs; verb->name; verb++) {
        bool files = false;
        for (const struct argument_row *row = verb->arguments; row->name; row++)
            files = files || row->kind == VALUE_FILE;
        if (files)
            output_line("        '%s') kind='file' ;;", verb->name);
    }
    output_line("        esac");
    output_line("    fi");
}

void help_completion(void)
{
    output_line("# Completion of jini for bash, printed by \"jini help --completion\".");
    output_line("_jini()");
    output_line("{");
    output_line("    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}");
    output_line("    local verb='' group='' kind='' words='' name='' i=1 db=()");
    output_line("    COMPREPLY=()");
    put_find();
    put_values();
    put_options();
    put_verbs();
    put_help_words();
    put_records();
    put_files();
    output_text(script_reply);
}
