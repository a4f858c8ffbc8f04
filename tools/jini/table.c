/* The rows of the table, and finding them. */
#include "table.h"

#include "table_accounts.h"
#include "table_archive.h"
#include "table_credits.h"
#include "table_events.h"
#include "table_key.h"
#include "table_ledger.h"
#include "table_payments.h"
#include "table_queue.h"

#include <jini/accounts.h>
#include <jini/generations.h>
#include <jini/limits.h>
#include <string.h>

#define NUMBER_OPTION(name_, value_, least_, most_, text_)                                         \
    {                                                                                              \
        .name = (name_), .kind = VALUE_NUMBER, .value = (value_), .text = (text_),                 \
        .least = (least_), .most = (most_)                                                         \
    }
const struct option_row table_globals[] = {
    {.name = "db",
     .kind = VALUE_DIRECTORY,
     .value = "DIR",
     .text = "the database; else $JINI_DB, else ./data"},
    {.name = "set",
     .kind = VALUE_SETTING,
     .value = "NAME=VALUE",
     .text = "set an option of the engine, above environment and DIR/jini.conf; "
             "\"jini options\" lists them"},
    {.name = "read-only", .text = "look only: works on read-only media and on copies"},
    {.name = "json", .text = "print JSON: one object, or one a line for lists and events"},
    {.name = "quiet",
     .letter = 'q',
     .text = "print what was asked for and errors only: no summary, notes or progress"},
    {.name = "verbose", .letter = 'v', .text = "print what the engine reports to standard error"},
    {.name = "help", .letter = 'h', .text = "explain the verb and end"},
    {.name = "version", .text = "print the version and end"},
    {0},
};

const struct verb_group table_groups[] = {
    {"user", "users: accounts, tiers, passwords, overrides"},
    {"tier", "tiers: what their users are allowed"},
    {"limit", "rate limits and quotas of users and addresses"},
    {"key", "keys, by which programs act for a user"},
    {"session", "sessions of users who logged in"},
    {"archive", "moving images to the archive and freeing local copies"},
    {"pack", "packs and objects of the archive as files, without a database"},
    {"account", "accounts of the ledger"},
    {"job", "jobs: what is generated, and the workers that do it"},
    {"queue", "jobs that wait for workers"},
    {"grant", "credits of users"},
    {"cost", "what generations cost in credits"},
    {"price", "what money buys: tiers and credits"},
    {"pay", "payments, subscriptions and the books"},
    {"import", "what was made elsewhere"},
    {"transfer", "transfers between accounts of the ledger"},
    {"events", "what happened, and who is told"},
    {0},
};

static const struct argument_row no_arguments[] = {{0}};
static const struct option_row no_options[] = {{0}};

/* ---- Arguments that several verbs take ---- */

static const struct argument_row ids_argument[] = {
    {"ID", ARGUMENT_MANY, VALUE_TEXT, "ids of images"}, {0}};

/* ---- init ---- */

static const struct example_row init_examples[] = {
    {"jini init", "make a database in ./data"},
    {"jini --db /srv/jini init", "make one elsewhere"},
    {0},
};

/* ---- put, get, ls, show, rm, restore ---- */

static const struct argument_row put_arguments[] = {
    {"USER", ARGUMENT_ONE, VALUE_TEXT,
     "whose images they are: id, name or email address; id:12 and name:12 say which"},
    {"FILE|DIR", ARGUMENT_MANY, VALUE_FILE,
     "image files, folders of them, or - for standard input"},
    {0}};
static const struct option_row put_options[] = {
    {.name = "recursive", .letter = 'r', .text = "go down into the folders of folders"},
    {.name = "no-limits", .text = "import: no admission, no job, no charge"},
    {.name = "model", .kind = VALUE_TEXT, .value = "NAME", .text = "the model of the jobs"},
    {.name = "prompt", .kind = VALUE_TEXT, .value = "TEXT", .text = "the prompt of the jobs"},
    {.name = "negative", .kind = VALUE_TEXT, .value = "TEXT", .text = "the negative prompt"},
    NUMBER_OPTION("steps", "N", 1, UINT32_MAX, "steps of the jobs; 20 by default"),
    NUMBER_OPTION("width", "N", 1, 65536, "width that is asked for; at least each file's own"),
    NUMBER_OPTION("height", "N", 1, 65536, "height that is asked for; at least each file's own"),
    NUMBER_OPTION("seed", "N", -1, INT64_MAX, "seed of the jobs; else each file's own, else -1"),
    {.name = "guidance",
     .kind = VALUE_TEXT,
     .value = "N.N",
     .text = "guidance scale; 7.5 by default"},
    NUMBER_OPTION("parallel", "N", 1, 64, "files under way at once; 32 by default"),
    {0},
};
static const struct example_row put_examples[] = {
    {"jini put alice lake.png", "one image, through admission"},
    {"jini put alice renders/ --recursive --model sdxl", "all files below a folder"},
    {"jini put alice old/*.png --no-limits", "import what was made elsewhere"},
    {"jini put alice renders/ --json | jq -r 'select(.id) | .id'", "the ids of what was stored"},
    {0},
};
static const struct option_row get_options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = VALUE_FILE,
     .value = "FILE",
     .text = "where to: a file, a folder (each image as ID.png and so on), or - for standard "
             "output, the default"},
    {.name = "force", .letter = 'f', .text = "replace a file that is there"},
    {.name = "metadata", .text = "the texts that the image carries instead of the image"},
    {.name = "keyword",
     .kind = VALUE_TEXT,
     .value = "NAME",
     .text = "with --metadata: only this text, byte for byte"},
    {0},
};
static const struct example_row get_examples[] = {
    {"jini get 0198c5a2-7d1e-7b3a-9c44-1f2e3d4c5b6a -o lake.png",
     "into a file, whole or not at all"},
    {"jini get 0198c5a2-7d1e-7b3a-9c44-1f2e3d4c5b6a | display", "to another program"},
    {"jini get 0198c5a2-7d1e-7b3a-9c44-1f2e3d4c5b6a --metadata --keyword parameters",
     "the prompt as its generator wrote it"},
    {0},
};
static const struct argument_row ls_arguments[] = {
    {"USER", ARGUMENT_OPTIONAL, VALUE_TEXT,
     "whose images: id, name or email address; without it the users are listed"},
    {0}};
static const struct option_row ls_options[] = {
    {.name = "limit",
     .letter = 'n',
     .kind = VALUE_NUMBER,
     .value = "N",
     .least = 1,
     .most = INT64_MAX,
     .text = "at most so many"},
    {.name = "cursor",
     .kind = VALUE_TEXT,
     .value = "TEXT",
     .text = "go on where a list with --limit ended; it is printed there"},
    {.name = "jobs", .text = "jobs instead of images"},
    {0},
};
static const struct example_row ls_examples[] = {
    {"jini ls", "all users"},
    {"jini ls alice --limit 20", "her newest twenty images"},
    {"jini ls alice --jobs", "her jobs"},
    {"jini ls alice --json | jq -r .id", "all ids"},
    {0},
};
static const struct argument_row show_arguments[] = {
    {"ID", ARGUMENT_ONE, VALUE_TEXT, "the id of an image or a job"}, {0}};
static const struct example_row show_examples[] = {
    {"jini show 0198c5a2-7d1e-7b3a-9c44-1f2e3d4c5b6a", "all that is known of it"}, {0}};
static const struct option_row rm_options[] = {
    {.name = "purge", .text = "for good: every copy goes by the next \"archive run\""}, {0}};
static const struct example_row rm_examples[] = {
    {"jini rm 0198c5a2-7d1e-7b3a-9c44-1f2e3d4c5b6a", "to the trash"},
    {"jini ls alice --json | jq -r .id | xargs jini rm", "all images of a user"},
    {"jini rm --purge 0198c5a2-7d1e-7b3a-9c44-1f2e3d4c5b6a && jini archive run",
     "when the disk is full"},
    {0},
};
static const struct example_row restore_examples[] = {
    {"jini restore 0198c5a2-7d1e-7b3a-9c44-1f2e3d4c5b6a", "back from the trash"}, {0}};

/* ---- stat, options, help ---- */

static const struct option_row stat_options[] = {
    {.name = "prometheus",
     .text = "the figures of the database as Prometheus text, with images by state"},
    {0}};
static const struct example_row stat_examples[] = {
    {"jini stat", "a summary; names the process that writes"},
    {"jini stat --prometheus > /var/lib/node_exporter/jini.prom", "for a monitoring system"},
    {0},
};
static const struct example_row options_examples[] = {
    {"jini options", "all options, their values and where they come from"},
    {"jini --set pack.bytes_max=16MiB put alice lake.png", "set one for one command"},
    {"JINI_STORE_SYNC=meta jini options", "set one by the environment"},
    {0},
};
static const struct argument_row help_arguments[] = {
    {"VERB", ARGUMENT_ANY, VALUE_TEXT, "a verb, a group of verbs, or the topic \"limits\""}, {0}};
static const struct option_row help_options[] = {
    {.name = "man", .text = "print the manual page, for man(1)"},
    {.name = "completion", .text = "print the completion script, for bash(1)"},
    {0},
};
static const struct example_row help_examples[] = {
    {"jini help put", "the same as jini put --help"},
    {"source <(jini help --completion)", "complete verbs and options in this shell"},
    {"jini help --man | man -l -", "read the manual without installing it"},
    {0},
};

/* ---- The table ---- */

const struct verb table_verbs[] = {
    {"init", "make a database",
     "Makes the database directory with its default tiers, and prints where it is. A database that "
     "is there already stays as it is.",
     no_arguments, no_options, init_examples, verb_init},

    {"user add", "add a user",
     "Adds a user and prints the id. A password is never given as an argument, where other users "
     "of the machine could see it.",
     user_add_arguments, user_add_options, user_add_examples, verb_user_add},
    {"user show", "show a user: account, limits, usage",
     "Shows the account, what tier and overrides allow together, and what the user has stored.",
     user_argument, no_options, user_show_examples, verb_user_show},
    {"user list", "list users", "Lists users by id.", no_arguments, user_list_options,
     user_list_examples, verb_user_list},
    {"user set", "change a user",
     "Changes what the options name and keeps the rest. Overrides replace what the tier allows; "
     "the value \"tier\" takes one away. A change holds for the next request of every process.",
     user_argument, user_set_options, user_set_examples, verb_user_set},
    {"user passwd", "set a user's password",
     "Sets a password of 1 to 1,024 bytes and ends all sessions of the user.", user_argument,
     user_passwd_options, user_passwd_examples, verb_user_passwd},
    {"user disable", "let a user neither log in nor generate",
     "The account, its images and its limits stay.", user_argument, no_options,
     user_disable_examples, verb_user_disable},
    {"user enable", "take \"disable\" back", "The account works again from the next request on.",
     user_argument, no_options, user_enable_examples, verb_user_enable},

    {"tier list", "list tiers", "Lists the tiers in the order in which they were added.",
     no_arguments, no_options, tier_list_examples, verb_tier_list},
    {"tier show", "show a tier", "Shows all that a tier allows.", tier_argument, no_options,
     tier_show_examples, verb_tier_show},
    {"tier set", "add or change a tier",
     "Changes what the options name and keeps the rest. A tier that is not there is added with "
     "--create only, and has no bounds but those named. "
     "The change holds for the next request of every process.",
     tier_argument, tier_set_options, tier_set_examples, verb_tier_set},
    {"tier rm", "delete a tier", "Deletes a tier that no user has. The default tier, Free, stays.",
     tier_argument, no_options, tier_rm_examples, verb_tier_rm},

    {"limit check", "charge rate limits",
     "Charges the rate limits of a user or an address, all or none, and prints each with what is "
     "left. Quotas are charged by admissions only.",
     subject_argument, limit_check_options, limit_check_examples, verb_limit_check},
    {"limit peek", "look at limits without charging",
     "Prints every rate limit and quota of a user or an address as \"put\" would find it, and how "
     "many of its jobs run and may run at once. Jobs whose lease is over are not in the way.",
     subject_argument, limit_check_options, limit_peek_examples, verb_limit_peek},
    {"limit reset", "forget what was counted",
     "Sets the subject's own limits back: rate limits at once, quotas durably. What running jobs "
     "have reserved stays. With --limits, what \"check\" has counted by this text and scope, and "
     "nothing else.",
     subject_argument, limit_reset_options, limit_reset_examples, verb_limit_reset},
    {"limit top", "list who is nearest to a limit",
     "Lists the subjects that have used the largest share of a rate limit, most first.",
     no_arguments, limit_top_options, limit_top_examples, verb_limit_top},

    {"put", "store images",
     "Stores image files (PNG, JPEG, WebP, GIF, AVIF) exactly as they are. Each file goes through "
     "admission as a generation of its own: user, tier, size, steps, rate limits, quotas and "
     "parallel jobs; a file that fails gives back what it was charged, and one whose command was "
     "killed does after a minute (admission.lease_ms). Of a folder all files are taken whose names "
     "do not begin with a dot, by name.\n\n"
     "Refusals do not end the command: they are counted and explained at its end. Its exit status "
     "is that of the worst that hindered the machine or the database (disk, memory, a lock, a "
     "timeout: statuses 5 to 9, 13, 14, 22, 26), and when there was none, that of the first file "
     "that was not stored. A folder that cannot be read counts as one file; pipes, sockets, "
     "devices and the database itself are passed over in folders and refused by name.\n\n"
     "A file that came damaged (truncated, or with wrong checksums or parts inside) is stored as "
     "it came, and named.\n\n"
     "With --json each file is an object with file, id (null when it was not stored), bytes, "
     "status, came_damaged and, when it was refused, error. A name that is not UTF-8 has "
     "path_bytes too, its bytes in hexadecimal digits.",
     put_arguments, put_options, put_examples, verb_put},
    {"get", "read images",
     "Writes an image byte for byte as it was put, whatever tier it is in. A file appears whole or "
     "not at all: it is written beside its name, synced and renamed. Image bytes are not written "
     "to a terminal. With --json each file that is written has an object with its path (file) and "
     "the image's fields; bytes to standard output, the default, are all that stands there, also "
     "with --json. Of several images each is read for itself: what fails is reported, and the "
     "exit status is that of the worst failure.",
     ids_argument, get_options, get_examples, verb_get},
    {"ls", "list images, jobs or users",
     "Lists a user's images or jobs, newest first; without a user, the users.", ls_arguments,
     ls_options, ls_examples, verb_ls},
    {"show", "show an image or a job", "Shows all fields of an image or a job.", show_arguments,
     no_options, show_examples, verb_show},
    {"rm", "remove images",
     "Moves images to the trash, from where \"restore\" brings them back until trash.s seconds "
     "have passed; then every copy is purged. With --purge that time is over at once, also for "
     "images in the trash: the next \"archive run\", or a service's own, deletes every copy and "
     "gives the room back.",
     ids_argument, rm_options, rm_examples, verb_rm},
    {"restore", "bring images back from the trash",
     "Undoes \"rm\" while the image is in the trash.", ids_argument, no_options, restore_examples,
     verb_restore},

    {"archive plan", "show what would move, and why",
     "A dry run: prints how many images a run would delete because their retention or their time "
     "in the trash is over, and the steps that are due for each pack after that, with their "
     "reasons; changes nothing. \"aside\" are pack files that the index does not know, which a run "
     "moves to DIR/packs/lost, and \"drop\" those that have been there for longer than "
     "pack.lost_s. "
     "Duplicates that a run would find, small packs that it would merge, and what it would find "
     "damaged or missing are not foreseen.",
     no_arguments, archive_options, archive_plan_examples, verb_archive_plan},
    {"archive run", "move packs to the archive",
     "Deletes images whose retention or time in the trash is over, for good: \"archive plan\" "
     "tells how many. Then seals, compacts, copies to the archive, reads back, verifies, commits, "
     "and only then deletes local copies. Whatever interrupts it is picked up by the next run. "
     "With --now, processes that append to packs are asked to seal them; one that has not done so "
     "after three seconds is named, and its packs stay.\n\n"
     "A pack whose file is gone or cut is taken back (\"regain\") from DIR/packs/lost or from the "
     "archive, if a whole copy lies there, as after an older data.mdb was put back. Pack files "
     "that "
     "the index does not know are moved to DIR/packs/lost, since the records of their images may "
     "have been lost: put the data.mdb back that knows them, and the next run takes them back. "
     "They "
     "are deleted after pack.lost_s seconds, 30 days by default.",
     no_arguments, archive_options, archive_run_examples, verb_archive_run},
    {"archive init", "make a lost archive anew",
     "Makes the archive that archive.url names, empty. The first \"archive run\" does so by "
     "itself; later an empty place is taken for a disk that is not mounted, and refused. This is "
     "for an archive that is lost for good: \"archive run --now\" then archives again what is on "
     "the local disk, and \"verify\" names what is not. Refused where an archive is, or something "
     "else. What it has made, it adopts.",
     no_arguments, no_options, archive_init_examples, verb_archive_init},
    {"archive adopt", "take over the archive of a copy's original",
     "Says that what this database names in the archive is its own. Of a database and its copies "
     "at "
     "most one deletes from the archive that they name. A copy that was made as a file, by \"jini "
     "backup\" or any other tool, deletes nothing, wherever the archive lies; nor does a database "
     "that was moved to another disk or machine. Of those that look alike to it, such as a machine "
     "and its clone, the first that deletes goes on, and the others delete nothing any more. "
     "\"archive status\" says why as \"keeping\": copy, unknown or taken.\n\n"
     "This is for a copy that takes the place of an original that is gone, or that has a copy of "
     "the archive. The original, if it goes on, deletes nothing after that, and loses what the "
     "copy deletes or rewrites. Before a clone of a disk or machine is used beside its original, "
     "give each an archive of its own and adopt it: which of the two is the original, nothing "
     "tells.",
     no_arguments, no_options, archive_adopt_examples, verb_archive_adopt},
    {"archive status", "show how images are spread over the tiers",
     "Counts images, packs and bytes by where they are.", no_arguments, no_options,
     archive_status_examples, verb_archive_status},

    {"pack list", "list what a pack holds",
     "Lists the images of a pack, of DIR/packs or of the archive, in the order of the file, and "
     "what "
     "of it is damaged, each with its place. Headers alone are read: \"pack verify\" reads the "
     "rest. TEXTS are those that are kept beside an image; short ones lie in the image alone. No "
     "database is needed, and a pack need not be sealed. The exit status is 1 when "
     "something is damaged.",
     pack_arguments, no_options, pack_list_examples, verb_pack_list},
    {"pack verify", "check every byte of a pack",
     "Reads a pack in full, decodes what is coded, and lists every part that does not hold. Of a "
     "pack that is not sealed, the end may be one that is being written, or one that a crash tore "
     "before it was acknowledged: only the database knows. The exit status is 1 when there is a "
     "problem.",
     pack_arguments, no_options, pack_verify_examples, verb_pack_verify},
    {"pack extract", "write the images of a pack to files",
     "Writes images byte for byte as they were put, and beside each the texts that it carries. "
     "What "
     "is damaged is reported, and all else is written; the exit status is that of the worst "
     "failure. An image that shares its bytes with another lies in a pack once, under the id of "
     "the "
     "first.",
     pack_extract_arguments, pack_extract_options, pack_extract_examples, verb_pack_extract},

    {"key add", "make a key for a program",
     "Makes a key that stands for a user wherever a credential is taken, and prints it with its "
     "text. The text is told this once: the database has a digest of it alone.",
     key_user_arguments, key_add_options, key_add_examples, verb_key_add},
    {"key list", "list the keys of a user",
     "Lists a user's keys without their secrets. Those that were revoked or have expired stay "
     "until "
     "their place is needed.",
     key_user_arguments, no_options, key_list_examples, verb_key_list},
    {"key rm", "revoke keys", "Revokes keys: from the next request on they admit nothing.",
     key_arguments, no_options, key_rm_examples, verb_key_rm},
    {"session begin", "begin a session",
     "Begins a session of a user, as a service does after a login, and prints it with its text, "
     "which is told this once.",
     key_user_arguments, session_begin_options, session_begin_examples, verb_session_begin},
    {"session list", "list the sessions of a user",
     "Lists a user's sessions without their secrets; those that have expired stay until their "
     "place is needed.",
     key_user_arguments, no_options, session_list_examples, verb_session_list},
    {"session rm", "end sessions",
     "Ends sessions, or all of a user's: from the next request on they admit nothing.",
     session_arguments, session_rm_options, session_rm_examples, verb_session_rm},

    {"account create", "make an account",
     "Makes an account of the ledger and prints it. The same again is not an error: the result "
     "says "
     "\"exists\".",
     ledger_new_arguments, ledger_account_create_options, ledger_account_create_examples,
     verb_account_create},
    {"account show", "show an account and its balance", "Shows an account of the ledger.",
     ledger_id_arguments, no_options, ledger_account_show_examples, verb_account_show},
    {"transfer create", "move an amount between two accounts",
     "Debits one account and credits another of the same ledger, and prints the transfer with both "
     "balances. Amounts are whole numbers of the ledger's smallest unit. The same id again moves "
     "nothing: the result says \"exists\".",
     ledger_new_arguments, ledger_transfer_create_options, ledger_transfer_create_examples,
     verb_transfer_create},
    {"transfer show", "show a transfer", "Shows a transfer.", ledger_id_arguments, no_options,
     ledger_transfer_show_examples, verb_transfer_show},
    {"transfer list", "list transfers",
     "Lists transfers in the order in which they were made. All options that are given apply "
     "together.",
     ledger_any_account_arguments, ledger_transfer_list_options, ledger_transfer_list_examples,
     verb_transfer_list},
    {"balance", "show the balance of an account",
     "Shows what is pending and posted on both sides of an account: now, at a time, or after each "
     "of its transfers.",
     ledger_account_arguments, ledger_balance_options, ledger_balance_examples, verb_balance},

    {"job add", "have a job wait for a worker",
     "Admits a generation for the queue, as a service does: its user's tier, limits and credits "
     "decide, and its priority is the tier's. Prints the job.",
     queue_user_arguments, job_add_options, job_add_examples, verb_job_add},
    {"job list", "list jobs",
     "With a user, that user's jobs, newest first; without one the jobs for workers that have not "
     "ended, by model, falling priority and user.",
     job_list_arguments, job_list_options, job_list_examples, verb_job_list},
    {"job show", "show a job",
     "Shows all fields of a job, its prompts, its images, and how many jobs are before it where it "
     "waits.",
     job_argument, no_options, job_show_examples, verb_job_show},
    {"job cancel", "cancel jobs",
     "Ends jobs that have not ended, and gives back what they reserved. A worker that is at one "
     "learns it when it next says something about it.",
     job_arguments, no_options, job_cancel_examples, verb_job_cancel},
    {"job retry", "admit a job once more",
     "Admits a new job with the subject, prompts and parameters of one that is FAILED or "
     "TIMED_OUT, under its limits and for its price as any other, and prints it. The old one stays "
     "as it is. With --request-id the same command again admits nothing more.",
     job_argument, job_retry_options, job_retry_examples, verb_job_retry},
    {"job take", "take a job, as a worker",
     "Takes the next job and prints it with its prompts and the number of the attempt, which goes "
     "with all that the worker says about it. Prints nothing, and ends with the status of "
     "E_NOT_FOUND, where none came.",
     no_arguments, job_take_options, job_take_examples, verb_job_take},
    {"job extend", "renew the lease of a job, as its worker",
     "Keeps a job from being given to another worker. E_CONFLICT: it was, or it has ended.",
     job_argument, job_extend_options, job_extend_examples, verb_job_extend},
    {"job finish", "end a job that is done, as its worker",
     "Settles a job: what it reserved becomes used.", job_argument, job_finish_options,
     job_finish_examples, verb_job_finish},
    {"job fail", "say that an attempt at a job failed, as its worker",
     "Ends a job as FAILED, and gives back what it reserved; with --retry it goes back into the "
     "queue for a while, if it has attempts left.",
     job_argument, job_fail_options, job_fail_examples, verb_job_fail},
    {"queue status", "show how many jobs wait",
     "Lists models and priorities that have jobs which have not ended: how many wait, are delayed "
     "after an attempt that failed, and are taken, and how old the next one is.",
     no_arguments, no_options, queue_status_examples, verb_queue_status},
    {"queue purge", "cancel jobs that wait",
     "Cancels jobs that are in the queue, of a user, of a model, or all of them, and prints how "
     "many. Those that workers have stay.",
     no_arguments, queue_purge_options, queue_purge_examples, verb_queue_purge},

    {"why", "explain an admission",
     "Shows the limits, parallel jobs, tier, credits and cost on which a job was admitted or a "
     "request refused, as they stood then: ID is a job's, or the one that the answer of a refusal "
     "carries. With --last the newest refusals are listed instead; decisions.kept of them are "
     "known, by all processes, and none of them outlives a power loss for certain.",
     why_arguments, why_options, why_examples, verb_why},

    {"grant add", "give a user credits",
     "Grants credits, which generations draw that cost any (\"jini cost\"), and prints the grant. "
     "The same --id again grants nothing more.",
     grant_add_arguments, grant_add_options, grant_add_examples, verb_grant_add},
    {"grant list", "list the credits of a user",
     "Lists the grants of a user that have credits, or of which jobs have reserved some, in the "
     "order in which they are drawn: by priority, then by expiry, then by age.",
     grant_user_arguments, no_options, grant_list_examples, verb_grant_list},
    {"grant refund", "give back credits that a job drew",
     "Gives credits that a job drew back to the grants that they came from, also long after it was "
     "settled; all of them, or so many. Once for each job.",
     grant_refund_arguments, no_options, grant_refund_examples, verb_grant_refund},
    {"grant revoke", "take what is left of a grant away",
     "Takes the credits of a grant that are neither drawn nor reserved, and prints the grant.",
     grant_revoke_arguments, no_options, grant_revoke_examples, verb_grant_revoke},
    {"cost set", "say what generations by a model cost",
     "Sets what a generation by a model costs from now on, in thousandths of a credit; the sum of "
     "a generation is rounded up to whole credits. Jobs that were admitted before keep their cost.",
     cost_arguments, cost_set_options, cost_set_examples, verb_cost_set},
    {"cost list", "list what generations cost",
     "Lists the price list by model. The model \"\" stands for all without an entry.", no_arguments,
     no_options, cost_list_examples, verb_cost_list},
    {"cost rm", "take a model from the price list",
     "Takes the entry of a model away: the one of \"\" holds for it from now on.", cost_arguments,
     no_options, cost_rm_examples, verb_cost_rm},

    {"price set", "say what an amount of money buys",
     "Sets a price from now on: an amount that buys a tier for a period, credits, or both. "
     "Payments "
     "that were begun before keep the price that they were begun with.",
     price_set_arguments, price_set_options, price_set_examples, verb_price_set},
    {"price list", "list the prices", "Lists the prices that hold, by name.", no_arguments,
     no_options, price_list_examples, verb_price_list},
    {"price rm", "take a price away", "Takes a price away: nothing is sold by it any more.",
     price_arguments, no_options, price_rm_examples, verb_price_rm},

    {"pay intend", "begin a payment",
     "Begins a payment of a user, for a price or for an amount that has one. A second one for the "
     "same price within payments.same_ms is the first one. What matches no price is recorded and "
     "refused.",
     pay_intend_arguments, pay_intend_options, pay_intend_examples, verb_pay_intend},
    {"pay settle", "record that the money of a payment has arrived",
     "Posts the money, and gives what it buys, in one transaction. What arrived otherwise than the "
     "price asks buys nothing: it stands apart until it is refunded. The same again changes "
     "nothing.",
     pay_id_arguments, pay_settle_options, pay_settle_examples, verb_pay_settle},
    {"pay fail", "record that a payment came to nothing",
     "Ends a payment whose money did not arrive.", pay_id_arguments, pay_reason_options,
     pay_fail_examples, verb_pay_fail},
    {"pay refund", "pay a payment back",
     "Pays a payment back, all of it or a part, once. Its tier and its unused credits go; what is "
     "not paid back is revenue.",
     pay_id_arguments, pay_refund_options, pay_refund_examples, verb_pay_refund},
    {"pay dispute", "record that a payment is disputed",
     "The money is held by the bank of the payer. Tier and unused credits go until \"jini pay "
     "resolve\".",
     pay_id_arguments, pay_reason_options, pay_dispute_examples, verb_pay_dispute},
    {"pay resolve", "record how a dispute has ended",
     "Won: what was taken is given again. Lost: the payment is refunded, and the bank's fee is "
     "posted.",
     pay_resolve_arguments, pay_resolve_options, pay_resolve_examples, verb_pay_resolve},
    {"pay show", "show a payment", "Shows a payment: what it bought, and where its money is.",
     pay_id_arguments, no_options, pay_show_examples, verb_pay_show},
    {"pay list", "list payments",
     "Lists the payments of a user, the newest first, or all of them by their ids.",
     pay_list_arguments, no_options, pay_list_examples, verb_pay_list},
    {"pay cancel", "end a subscription with its period",
     "The tier of a user ends with what is paid, without grace. \"jini user show\" shows the "
     "subscription.",
     pay_user_arguments, pay_cancel_options, pay_cancel_examples, verb_pay_cancel},
    {"pay books", "show the books of a currency",
     "Shows the balances of the accounts of a currency. cash + fees + disputed + refunds = "
     "deferred "
     "+ revenue + unmatched.",
     no_arguments, pay_books_options, pay_books_examples, verb_pay_books},
    {"import payments", "import payments from a file",
     "Reads a file of comma-separated values (RFC 4180) with the columns id, user, amount and "
     "date, "
     "and records each row as a payment that was settled then; prices are found by the amount. All "
     "of the file is checked first: each row that is wrong is named by its line, field and rule, "
     "the exit status is 1, and nothing is imported. Rows whose payments are there already change "
     "nothing, so an import that was interrupted is run again.\n\nIn the end the sum of the file "
     "is "
     "held against the payments, by what has become of them.",
     import_arguments, import_options, import_examples, verb_import_payments},

    {"events tail", "list events",
     "Lists what happened, in the order of the commits: jobs, users, credits, and what "
     "applications "
     "append. With --follow it goes on with what happens.",
     no_arguments, events_tail_options, events_tail_examples, verb_events_tail},
    {"events consumers", "list who takes events",
     "Lists the consumers of events: how many events are behind the position of each (of any type; "
     "counted up to 100,000), the age of the first, what is held or waits, dead letters, and what "
     "it has lost since the log did not keep it for longer (events.keep_max_s, events.bytes_max).",
     no_arguments, no_options, events_consumers_examples, verb_events_consumers},
    {"events create", "make a consumer",
     "Makes a consumer, which programs take events as (jini_events_take()), and prints it. The "
     "same again finds it.",
     events_consumer_arguments, events_create_options, events_create_examples, verb_events_create},
    {"events rm", "remove a consumer",
     "Removes a consumer with what it holds, and its dead letters.", events_consumer_arguments,
     no_options, events_rm_examples, verb_events_rm},
    {"events replay", "set where a consumer goes on",
     "Has a consumer get events again, or pass over some. What it holds of deliveries stays so.",
     events_consumer_arguments, events_replay_options, events_replay_examples, verb_events_replay},
    {"events dead", "list, send again or drop dead letters",
     "Lists deliveries that were given up after the most tries, with the reason of the last, or "
     "has them delivered again, or removes them.",
     events_consumer_arguments, events_dead_options, events_dead_examples, verb_events_dead},

    {"verify", "check everything against everything",
     "Checks the records against each other, the index against the packs and the packs against the "
     "archive, beside other work, and lists every problem. The exit status is 1 when there is one.",
     no_arguments, verify_options, verify_examples, verb_verify},
    {"stat", "show figures and processes",
     "Shows map, readers, waits, limits and the processes that have the database open; names the "
     "one that holds the write lock, and for how long. Works while that process is stopped.\n\n"
     "All figures are of the database. What a service has done itself (commits, requests, waits, "
     "queues, caches) is counted in its own process: it prints those by jini_metrics().",
     no_arguments, stat_options, stat_examples, verb_stat},
    {"backup", "copy a database in use, with its images",
     "Makes DIR a backup, or brings the backup in it up to date: the records as of one moment, all "
     "packs, and all objects of the archive, wherever that is, each of them checked while it is "
     "copied, and synced. DIR is not there yet, or empty, or has a backup that this database has "
     "made. Of that one what does not change is kept and not copied again, and what is needed no "
     "longer is deleted at the end. Others put, read and remove images meanwhile; \"archive run\" "
     "waits, so that nothing is rewritten or freed. What ends early, also by ctrl-C, leaves the "
     "backup that was there, and the next one goes on from there.\n\n"
     "What is damaged, missing or not to be read in the database is listed, and all else is "
     "copied; the exit status is that of E_CORRUPT, or of E_IO where nothing is damaged. Nothing "
     "is deleted from the backup then: what it has of what was damaged is the last good copy. The "
     "records of the backup before stay as well, as DIR/data-before.mdb.\n\n"
     "DIR then is a database by itself, with its archive in DIR/archive: \"jini --db DIR verify\" "
     "checks it. To restore, move what is left of the database aside and copy DIR to its place, "
     "not over it; name an archive in archive.url only if the objects of DIR/archive were copied "
     "there as well, and let it \"archive adopt\" that: before, it deletes nothing there, as no "
     "copy does. Neither loses anything by what is "
     "done to the other. DIR/jini.conf is left to the machine: it is not copied. A backup that "
     "was opened and changed is a database of its own, and not written over.\n\n"
     "FILE, a name that ends in .mdb, gets the records alone: users, tiers, jobs, the index, the "
     "ledger. The image bytes are in the packs and in the archive, of which a copy by other means "
     "is none: tiering moves and deletes them meanwhile. A plain copy of a live data.mdb is "
     "damaged, "
     "this one is not. It is written as FILE.jini-partial first; what has the name FILE is whole.",
     backup_arguments, backup_options, backup_examples, verb_backup},
    {"options", "list the options of the engine",
     "Lists every option with its value and where that comes from: the default, the command (which "
     "leaves background work to services), DIR/jini.conf, the environment, or --set.",
     no_arguments, no_options, options_examples, verb_options},
    {"help", "explain a verb",
     "Explains a verb, a group of verbs, or the topic \"limits\" (the notation of rate limits and "
     "quotas); with --json, prints the whole table of verbs.",
     help_arguments, help_options, help_examples, verb_help},
    {0},
};

/* ---- Finding ---- */

const struct verb *table_find(const char *first, const char *second)
{
    size_t length = strlen(first);
    for (const struct verb *verb = table_verbs; verb->name; verb++) {
        if (!second && strcmp(verb->name, first) == 0)
            return verb;
        if (second && strncmp(verb->name, first, length) == 0 && verb->name[length] == ' ' &&
            strcmp(verb->name + length + 1, second) == 0)
            return verb;
    }
    return NULL;
}

const struct verb_group *table_find_group(const char *name)
{
    for (const struct verb_group *group = table_groups; group->name; group++) {
        if (strcmp(group->name, name) == 0)
            return group;
    }
    return NULL;
}

const char *table_last_word(const struct verb *verb)
{
    const char *space = strrchr(verb->name, ' ');
    return space ? space + 1 : verb->name;
}

int table_is_in_group(const struct verb *verb, const char *group)
{
    size_t length = strlen(group);
    return strncmp(verb->name, group, length) == 0 && verb->name[length] == ' ';
}
