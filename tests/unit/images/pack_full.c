/* Packs on a disk that is full. */
#include "images/pack_file.h"

#include "pack_support.h"

#include <signal.h>
#include <sys/resource.h>

/* Bounds the length of files of this process, as a full disk would. */
static void bound_files(uint64_t bytes)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = bytes ? bytes : limit.rlim_max;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

/* Appends three records with room for only `room` bytes, and checks that the whole ones stay. */
static void append_into(int directory, uint64_t room)
{
    struct support_image images[3];
    struct pack_prepared *records[3];
    struct jini_id ids[3];
    uint64_t ends[3];
    struct pack_file *file = support_create(directory);
    struct jini_id pack = pack_file_header(file)->pack;
    uint64_t end = pack_file_end(file);
    for (int i = 0; i < 3; i++) {
        ids[i] = support_id();
        support_image_make(&images[i], &ids[i], (size_t)i * 400000 + 1000, 50);
        records[i] = &images[i].prepared;
        ends[i] = (i ? ends[i - 1] : end) + images[i].prepared.length;
    }
    size_t fits = 0;
    while (fits < 3 && ends[fits] <= room)
        fits++;
    bound_files(room);
    size_t appended;
    struct jini_error error = {0};
    int status = pack_file_append(file, records, 3, &appended, &error);
    bound_files(0);
    CHECK_STATUS(status, fits == 3 ? 0 : JINI_E_FULL);
    CHECK_UINT(appended, ==, fits);
    CHECK_UINT(pack_file_end(file), ==, fits ? ends[fits - 1] : end);
    struct stat info;
    int descriptor = support_open(directory, &pack);
    CHECK(fstat(descriptor, &info) == 0);
    CHECK_INT(info.st_size, ==, (int64_t)pack_file_end(file));
    size_t more;
    CHECK_OK(pack_file_append(file, records + fits, 3 - fits, &more, NULL));
    CHECK_OK(pack_file_seal(file, NULL));
    struct pack_source source = pack_source_of_file(&pack, descriptor);
    for (int i = 0; i < 3; i++) {
        struct pack_place place = {records[i]->offset, records[i]->record.sequence};
        CHECK_UINT(place.sequence, ==, i);
        CHECK_OK(support_check(&source, &place, &ids[i]));
        support_image_free(&images[i]);
    }
    pack_file_close(file);
    close(descriptor);
    CHECK_OK(pack_path_remove(directory, &pack, NULL));
}

TEST(a_full_disk_cuts_back_to_whole_records,
     "When space ends in the middle of a batch, its whole records stay, the rest goes, and "
     "appending can go on.")
{
    signal(SIGXFSZ, SIG_IGN);
    int directory = support_directory();
    uint64_t step = harness_sanitized() ? 1130 : 113;
    int rooms = harness_sanitized() ? 15 : 150;
    for (uint64_t room = PACK_HEADER_BYTES; room < 6000; room += step)
        append_into(directory, room);
    for (int i = 0; i < rooms; i++)
        append_into(directory, PACK_HEADER_BYTES + harness_random_below(1300000));
    close(directory);
}

TEST(a_full_disk_leaves_the_pack_to_be_sealed_later,
     "When the footer does not fit, the pack stays open with all its records and is sealed when "
     "there is room.")
{
    signal(SIGXFSZ, SIG_IGN);
    int directory = support_directory();
    struct pack_file *file = support_create(directory);
    struct jini_id image;
    struct pack_place place = support_append(file, 5000, 5, &image);
    for (uint64_t room = 0; room < 64 + 80 + 64; room++) {
        bound_files(pack_file_end(file) + room);
        int status = pack_file_seal(file, NULL);
        bound_files(0);
        CHECK_STATUS(status, JINI_E_FULL);
    }
    struct jini_id second;
    struct pack_place second_place = support_append(file, 300, 0, &second);
    CHECK_OK(pack_file_seal(file, NULL));
    struct jini_id pack = pack_file_header(file)->pack;
    int descriptor = support_open(directory, &pack);
    struct pack_source source = pack_source_of_file(&pack, descriptor);
    CHECK_OK(support_check(&source, &place, &image));
    CHECK_OK(support_check(&source, &second_place, &second));
    close(descriptor);
    pack_file_close(file);
    close(directory);
}
