/*
 * The command line of the benchmark.
 *
 *     jini-bench [OPTIONS] CASE     measures one case
 *     jini-bench [OPTIONS] all      measures all cases and writes bench/results/
 *     jini-bench counters           counts what does not depend on the machine
 */
#include "all.h"
#include "bench.h"
#include "counters.h"
#include "database.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char usage[] =
    "usage: jini-bench [OPTIONS] CASE|all\n"
    "       jini-bench counters [--compare FILE | --write FILE]\n"
    "       jini-bench --list\n"
    "       jini-bench help CASE\n"
    "\n"
    "  --json         print one JSON object instead of text\n"
    "  --dir DIR      where the data goes, on the disk that is to be measured; bench/data by "
    "default. What is\n"
    "                 made there is removed afterwards\n"
    "  --seconds S    about how long one round takes; 2 by default\n"
    "  --scale F      of the data; 1, a million users, by default\n"
    "  --quick        little data and short rounds: a smoke test, whose figures mean nothing\n"
    "  --keep         leave prepared databases in DIR for the next run\n"
    "  --results DIR  of all: where figures, table and plots go; bench/results by default\n"
    "  --compare FILE of counters: those of this file, as bench/counters.json, must not differ\n"
    "  --write FILE   of counters: write them to this file\n"
    "  --readme FILE  of all: rewrite the table of figures in this page, bench/README.md\n"
    "\n"
    "The exit status is 0 when everything was measured, whether targets are met or not, and 1 when "
    "something\n"
    "failed or a promise did not hold.\n";

struct command {
    struct bench_options options;
    struct all_options all;
    const char *compare;
    const char *write;
    bool json;
    bool made_directory;
};

static void list(void)
{
    for (int i = 0; bench_cases[i]; i++)
        printf("%-14s %-70s %s\n", bench_cases[i]->name, bench_cases[i]->measures,
               bench_cases[i]->target);
}

static const struct bench_case *find(const char *name)
{
    const struct bench_case *bench = bench_case_find(name);
    if (!bench)
        bench_fail("there is no case \"%s\"; jini-bench --list names them", name);
    return bench;
}

/* Breaks a paragraph into lines. */
static void print_wrapped(const char *text)
{
    enum { WIDTH = 100 };
    size_t column = 0;
    while (*text) {
        size_t word = strcspn(text, " ");
        if (column > 0 && column + 1 + word > WIDTH) {
            putchar('\n');
            column = 0;
        }
        printf("%s%.*s", column ? " " : "", (int)word, text);
        column += word + (column ? 1 : 0);
        text += word;
        text += strspn(text, " ");
    }
    putchar('\n');
}

static int help(const char *name)
{
    const struct bench_case *bench = find(name);
    printf("%s: %s\nunit: %s\ntarget: %s\n\n", bench->name, bench->measures, bench->unit,
           bench->target);
    print_wrapped(bench->method);
    return 0;
}

static double number(const char *text, const char *option, double least, double most)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= least && value <= most))
        bench_fail("%s takes a number from %g to %g, not \"%s\"", option, least, most, text);
    return value;
}

static void parse(int count, char **arguments, struct command *command)
{
    enum {
        JSON = 1,
        DIR,
        SECONDS,
        SCALE,
        QUICK,
        KEEP,
        RESULTS,
        README,
        COMPARE,
        WRITE,
        LIST,
        HELP
    };
    static const struct option options[] = {{"json", no_argument, NULL, JSON},
                                            {"dir", required_argument, NULL, DIR},
                                            {"seconds", required_argument, NULL, SECONDS},
                                            {"scale", required_argument, NULL, SCALE},
                                            {"quick", no_argument, NULL, QUICK},
                                            {"keep", no_argument, NULL, KEEP},
                                            {"results", required_argument, NULL, RESULTS},
                                            {"readme", required_argument, NULL, README},
                                            {"compare", required_argument, NULL, COMPARE},
                                            {"write", required_argument, NULL, WRITE},
                                            {"list", no_argument, NULL, LIST},
                                            {"help", no_argument, NULL, HELP},
                                            {NULL, 0, NULL, 0}};
    double seconds = 0;
    double scale = 0;
    for (int option; (option = getopt_long(count, arguments, "", options, NULL)) != -1;) {
        switch (option) {
        case JSON:
            command->json = true;
            break;
        case DIR:
            command->options.directory = optarg;
            break;
        case SECONDS:
            seconds = number(optarg, "--seconds", 0.01, 600);
            break;
        case SCALE:
            scale = number(optarg, "--scale", 0.0001, 100);
            break;
        case QUICK:
            command->options.quick = true;
            break;
        case KEEP:
            command->options.keep = true;
            break;
        case RESULTS:
            command->all.results = optarg;
            break;
        case README:
            command->all.readme = optarg;
            break;
        case COMPARE:
            command->compare = optarg;
            break;
        case WRITE:
            command->write = optarg;
            break;
        case LIST:
            list();
            exit(0);
        case HELP:
            fputs(usage, stdout);
            exit(0);
        default:
            fputs(usage, stderr);
            exit(2);
        }
    }
    command->options.seconds = seconds > 0 ? seconds : command->options.quick ? 0.1 : 2;
    command->options.scale = scale > 0 ? scale : command->options.quick ? 0.005 : 1;
}

/*
 * Makes the directory of the data, unless it is there. Others may pass it, as the user does whom
 * root has the server of PostgreSQL run as; what lies in it is closed to them.
 */
static void prepare_directory(struct command *command)
{
    const char *path = command->options.directory;
    if (mkdir(path, 0711) == 0)
        command->made_directory = true;
    else if (errno != EEXIST)
        bench_fail("cannot make %s: %s", path, strerror(errno));
}

static void clean_directory(const struct command *command)
{
    if (command->options.keep)
        return;
    if (command->made_directory)
        database_remove(command->options.directory);
    else
        database_remove_prepared(&command->options);
}

static int run_case(struct command *command, const struct bench_case *bench)
{
    struct bench_result *result = result_new(bench, &command->options);
    bench->run(&command->options, result);
    bench_progress("%s", "");
    if (command->json) {
        char *text = result_json(result);
        puts(text);
        free(text);
    } else {
        result_print(result);
    }
    bool broken = result_is_broken(result);
    result_free(result);
    return broken ? 1 : 0;
}

static int run_counters(struct command *command)
{
    counters_begin();
    return counters_run(&command->options, command->compare, command->write);
}

int main(int count, char **arguments)
{
    struct command command = {
        .options = {.directory = "bench/data"},
        .all = {.results = "bench/results"},
    };
    parse(count, arguments, &command);
    char **rest = arguments + optind;
    int words = count - optind;
    if (words == 2 && strcmp(rest[0], "help") == 0)
        return help(rest[1]);
    if (words != 1) {
        fputs(usage, stderr);
        return 2;
    }
    bool all = strcmp(rest[0], "all") == 0;
    bool counters = strcmp(rest[0], "counters") == 0;
    const struct bench_case *bench = all || counters ? NULL : find(rest[0]);
    prepare_directory(&command);
    int status = all        ? all_run(&command.options, &command.all)
                 : counters ? run_counters(&command)
                            : run_case(&command, bench);
    clean_directory(&command);
    return status;
}
