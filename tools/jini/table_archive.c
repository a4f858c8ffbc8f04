/* The rows of table_archive.h. */
#include "table_archive.h"

const struct argument_row pack_arguments[] = {
    {"FILE", ARGUMENT_ONE, VALUE_FILE, "a pack, or an object of the archive"}, {0}};
const struct argument_row pack_extract_arguments[] = {
    {"FILE", ARGUMENT_ONE, VALUE_FILE, "a pack, or an object of the archive"},
    {"IMAGE", ARGUMENT_ANY, VALUE_TEXT, "ids of images; without one, all of them"},
    {0}};

const struct option_row pack_extract_options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = VALUE_DIRECTORY,
     .value = "FOLDER",
     .text =
         "where to, which is made if it is not there: each image as ID.png and so on, its texts "
         "as ID.txt"},
    {.name = "force", .letter = 'f', .text = "replace files that are there"},
    {0},
};

const struct example_row pack_list_examples[] = {
    {"jini pack list 0198c5a2-7d1e-7b3a-9c44-1f2e3d4c5b6a.pack", "what is in it"},
    {"jini pack list some.pack --json | jq -r 'select(.image_id) | .image_id'", "all ids"},
    {0},
};
const struct example_row pack_verify_examples[] = {
    {"for pack in archive/packs/*/*; do jini pack verify \"$pack\" || echo \"$pack\"; done",
     "the objects of an archive that are damaged"},
    {0},
};
const struct example_row pack_extract_examples[] = {
    {"jini pack extract some.pack -o images", "all that can be read"},
    {"jini pack extract some.pack 0198c5a2-7d1e-7b3a-9c44-1f2e3d4c5b6a -o .", "one image"},
    {0},
};

const struct option_row archive_options[] = {
    {.name = "now",
     .text = "regardless of age; open packs are sealed first, by their processes if these live"},
    {.name = "free-hot", .text = "free local copies of archived packs at once"},
    {0},
};
const struct example_row archive_plan_examples[] = {
    {"jini archive plan", "what would move now, and why"},
    {"jini archive plan --now --free-hot", "what \"run\" with these options would do"},
    {0},
};
const struct example_row archive_run_examples[] = {
    {"jini archive run", "move what is old enough"},
    {"jini archive run --now --free-hot", "move everything and free the local copies"},
    {0},
};
const struct example_row archive_init_examples[] = {
    {"jini archive init && jini archive run --now", "after the disk of the archive was lost"}, {0}};
const struct example_row archive_adopt_examples[] = {
    {"jini --db /srv/restored archive adopt", "after a backup took the place of what was lost"},
    {0}};
const struct example_row archive_status_examples[] = {{"jini archive status", "how much is where"},
                                                      {0}};
const struct option_row verify_options[] = {
    {.name = "deep", .text = "read and check every stored byte, local and in the archive"}, {0}};
const struct example_row verify_examples[] = {
    {"jini verify", "records, index, packs and archive against each other"},
    {"jini verify --deep", "and every byte"},
    {0},
};
const struct argument_row backup_arguments[] = {
    {"DIR|FILE", ARGUMENT_ONE, VALUE_FILE,
     "the directory of the backup; or a new file for the records alone, whose name ends in .mdb"},
    {0}};
const struct option_row backup_options[] = {
    {.name = "deep", .text = "DIR: read every byte back, also of what the backup had before"},
    {.name = "plain", .text = "FILE: page by page, with free pages: faster, but not smaller"},
    {0}};
const struct example_row backup_examples[] = {
    {"jini backup /backup/jini", "everything, while others write; later what is new"},
    {"jini --db /backup/jini --read-only verify --deep", "what that backup is worth"},
    {"jini backup /backup/$(date +%F).mdb", "a copy of the records alone"},
    {0},
};
