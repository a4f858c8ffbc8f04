/* The rows of table_pack.h. */
#include "table_pack.h"

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
