/* Reads of cold images that wait for the archive, and what goes on beside them. */
#include "cold_fixture.h"

enum { READS = 8 };

static struct cold_get_later reads[READS * 2];

static void read_all_later(struct jini *jini, const struct jini_id *ids, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        CHECK_OK(cold_submit(jini, &reads[i], &ids[i], i, 0));
}

static struct jini *open_with_two_threads(void)
{
    struct jini_options options;
    cold_options(&options);
    options.cpu_threads = 2;
    return fixture_open_with(&options);
}

TEST(reads_that_wait_hold_up_no_put,
     "While more reads than there are threads wait for an archive that hangs, images are put and "
     "hot ones are read; a cancelled read comes back, once, as cancelled.")
{
    struct jini_id ids[READS];
    struct jini *jini = open_with_two_threads();
    cold_images(jini, 0, ids, READS);
    cold_faults(jini, "every=1,kinds=hang,operations=get");
    read_all_later(jini, ids, READS);
    cold_wait_for(jini, "jini_archive_reads 8");
    struct jini_id hot = fixture_put(jini, 0, 100);
    struct cold_get_later later;
    CHECK_OK(cold_submit(jini, &later, &hot, 100, 0));
    CHECK_OK(cold_result(&later));
    for (unsigned i = 0; i < READS; i++)
        jini_cancel(jini, &reads[i].get.request);
    for (unsigned i = 0; i < READS; i++)
        CHECK_STATUS(cold_result(&reads[i]), JINI_E_CANCELLED);
    cold_wait_for(jini, "jini_archive_reads 0");
    cold_wait_for(jini, "jini_archive_read_bytes 0"); /* when the GETs have ended, too */
    cold_faults(jini, COLD_HEALTHY);
    for (unsigned i = 0; i < READS; i++)
        CHECK_OK(fixture_get(jini, &ids[i], i));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static void *let_time_pass(void *argument)
{
    cold_wait_for(argument, "jini_archive_reads 1");
    cold_seconds_pass(61);
    return NULL;
}

TEST(a_read_ends_at_its_deadline, "A read of an archive that hangs ends when its deadline has "
                                  "passed, whether somebody waits or a callback does.")
{
    struct jini_id id;
    pthread_t thread;
    struct jini *jini = open_with_two_threads();
    cold_images(jini, 0, &id, 1);
    cold_faults(jini, "every=1,kinds=hang,operations=get");
    CHECK_OK(cold_submit(jini, &reads[0], &id, 0, 60));
    let_time_pass(jini);
    CHECK_STATUS(cold_result(&reads[0]), JINI_E_TIMEOUT);
    CHECK_TEXT(reads[0].get.request.error.field, "request.timeout_ms");
    CHECK_CONTAINS(reads[0].get.request.error.message, "waited for the archive for 60000 ms");
    cold_wait_for(jini, "jini_archive_reads 0");
    struct jini_image_get *get = &reads[0].get;
    CHECK_INT(pthread_create(&thread, NULL, let_time_pass, jini), ==, 0);
    CHECK_STATUS(jini_image_get(jini, get, NULL), JINI_E_TIMEOUT);
    pthread_join(thread, NULL);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(closing_ends_reads_that_wait,
     "An engine that is closed hands back every read that waits for the archive, once, cancelled.")
{
    struct jini_id ids[READS];
    struct jini *jini = open_with_two_threads();
    cold_images(jini, 0, ids, READS);
    cold_faults(jini, "every=1,kinds=hang,operations=get");
    read_all_later(jini, ids, READS);
    for (unsigned i = 0; i < READS; i++) /* some of them share a GET */
        CHECK_OK(cold_submit(jini, &reads[READS + i], &ids[i % 3], i % 3, 0));
    cold_wait_for(jini, "jini_archive_reads 16");
    CHECK_OK(jini_close(jini, NULL, NULL));
    for (unsigned i = 0; i < 2 * READS; i++)
        CHECK_STATUS(cold_result(&reads[i]), JINI_E_CANCELLED);
}

TEST(one_more_read_than_may_wait_is_busy,
     "The read over archive.reads_max is refused as busy by that name, and is served later.")
{
    struct jini_id ids[READS];
    struct jini_options options;
    cold_options(&options);
    options.archive_reads_max = READS - 1;
    struct jini *jini = fixture_open_with(&options);
    cold_images(jini, 0, ids, READS);
    cold_faults(jini, "every=1,kinds=hang,operations=get");
    read_all_later(jini, ids, READS - 1);
    cold_wait_for(jini, "jini_archive_reads 7");
    struct cold_get_later *over = &reads[READS - 1];
    CHECK_OK(cold_submit(jini, over, &ids[READS - 1], READS - 1, 0));
    CHECK_STATUS(cold_result(over), JINI_E_BUSY);
    CHECK_TEXT(over->get.request.error.field, "archive.reads_max");
    jini_cancel(jini, &reads[0].get.request);
    CHECK_STATUS(cold_result(&reads[0]), JINI_E_CANCELLED);
    cold_faults(jini, COLD_HEALTHY);
    CHECK_OK(cold_submit(jini, over, &ids[READS - 1], READS - 1, 0));
    CHECK_OK(cold_result(over));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static struct jini_id put_large(struct jini *jini, uint64_t seed)
{
    struct png_request png = {1024, 700, seed, NULL, NULL};
    struct jini_image_put put;
    jini_request_init(&put);
    uint8_t *file = png_make(&png, &put.length);
    put.bytes = file;
    fixture_must(jini_image_put(jini, &put, NULL), "put", &put.request.error);
    free(file);
    return put.image.id;
}

/* A read of an image that fills archive.read_bytes_max of 1 MiB by more than half. */
static void submit_large(struct jini *jini, struct cold_get_later *later, const struct jini_id *id,
                         uint32_t timeout_s)
{
    static uint8_t rooms[4][1 << 20];
    uint8_t *room = rooms[later - reads];
    jini_request_init(&later->get);
    later->get.request.data = later;
    later->get.request.timeout_ms = timeout_s * 1000;
    later->get.id = *id;
    later->get.buffer = room;
    later->get.capacity = sizeof(rooms[0]);
    atomic_store(&later->times, 0);
    CHECK_OK(jini_image_get(jini, &later->get, cold_came_back));
}

static int large_result(struct cold_get_later *later)
{
    for (int i = 0; i < COLD_WAIT_MS && atomic_load(&later->times) == 0; i++)
        usleep(1000);
    CHECK_UINT(atomic_load(&later->times), ==, 1);
    return later->get.request.status;
}

TEST(reads_beyond_the_bytes_on_their_way_wait_for_their_turn,
     "Of images that fill archive.read_bytes_max one is got at a time; those that wait for their "
     "turn end when cancelled or late, and the next one moves up.")
{
    enum { LARGE = 4 };
    struct jini_id ids[LARGE];
    struct jini_options options;
    cold_options(&options);
    options.archive_read_bytes_max = 1 << 20;
    struct jini *jini = fixture_open_with(&options);
    for (unsigned i = 0; i < LARGE; i++)
        ids[i] = put_large(jini, i);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    cold_faults(jini, "script=hang+pass+pass+pass,operations=get");
    uint64_t before = cold_gets(jini);
    for (unsigned i = 0; i < LARGE; i++) {
        char line[64];
        submit_large(jini, &reads[i], &ids[i], i == 2 ? 60 : 0);
        snprintf(line, sizeof(line), "jini_archive_reads %u", i + 1);
        cold_wait_for(jini, line);
    }
    jini_cancel(jini, &reads[1].get.request);
    CHECK_STATUS(large_result(&reads[1]), JINI_E_CANCELLED);
    cold_seconds_pass(61);
    CHECK_STATUS(large_result(&reads[2]), JINI_E_TIMEOUT);
    CHECK_CONTAINS(reads[2].get.request.error.message,
                   "for its turn to be read from the archive for 60000 ms");
    CHECK_CONTAINS(reads[2].get.request.error.message, "archive.read_bytes_max allows (1048576)");
    CHECK_UINT(cold_gets(jini) - before, ==, 0);
    CHECK_UINT(atomic_load(&reads[3].times), ==, 0);
    jini_cancel(jini, &reads[0].get.request);
    CHECK_STATUS(large_result(&reads[0]), JINI_E_CANCELLED);
    CHECK_OK(large_result(&reads[3]));
    CHECK_UINT(cold_gets(jini) - before, ==, 2); /* the one that hung, and the last */
    cold_wait_for(jini, "jini_archive_read_bytes 0");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(closing_ends_reads_that_wait_for_their_turn,
     "Closing hands back a read that is on its way, and those behind it, as cancelled.")
{
    struct jini_id id[2];
    struct jini_options options;
    cold_options(&options);
    options.archive_read_bytes_max = 1 << 20;
    struct jini *jini = fixture_open_with(&options);
    for (unsigned i = 0; i < 2; i++)
        id[i] = put_large(jini, i);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    cold_faults(jini, "every=1,kinds=hang,operations=get");
    for (unsigned i = 0; i < 4; i++)
        submit_large(jini, &reads[i], &id[i % 2], 0);
    cold_wait_for(jini, "jini_archive_reads 4");
    CHECK_OK(jini_close(jini, NULL, NULL));
    for (unsigned i = 0; i < 4; i++)
        CHECK_STATUS(large_result(&reads[i]), JINI_E_CANCELLED);
}

TEST(readers_of_one_record_share_its_get,
     "Many reads of one cold image at once ask the archive once, and one that is cancelled takes "
     "nothing from the others.")
{
    struct jini_id id;
    struct jini *jini = open_with_two_threads();
    cold_images(jini, 0, &id, 1);
    cold_faults(jini, "every=1,kinds=delay,delay_ms=60000,operations=get");
    uint64_t before = cold_gets(jini);
    for (unsigned i = 0; i < 2 * READS; i++)
        CHECK_OK(cold_submit(jini, &reads[i], &id, 0, 0));
    cold_wait_for(jini, "jini_archive_reads 16");
    jini_cancel(jini, &reads[0].get.request);
    jini_cancel(jini, &reads[9].get.request);
    cold_seconds_pass(61);
    for (unsigned i = 0; i < 2 * READS; i++)
        CHECK_STATUS(cold_result(&reads[i]), i == 0 || i == 9 ? JINI_E_CANCELLED : 0);
    CHECK_UINT(cold_gets(jini) - before, ==, 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(
    deadlines_of_others_do_not_count,
    "A read that shared the GET of one with an earlier deadline goes on when that is over, and one "
    "with an earlier deadline ends by that and leaves the GET to the others.")
{
    struct jini_id id;
    struct jini *jini = open_with_two_threads();
    cold_images(jini, 0, &id, 1);
    cold_faults(jini, "script=hang+pass,operations=get");
    CHECK_OK(cold_submit(jini, &reads[0], &id, 0, 60));
    cold_wait_for(jini, "jini_archive_reads 1");
    CHECK_OK(cold_submit(jini, &reads[1], &id, 0, 0)); /* waits for the same */
    cold_wait_for(jini, "jini_archive_reads 2");
    cold_seconds_pass(61);
    CHECK_STATUS(cold_result(&reads[0]), JINI_E_TIMEOUT);
    CHECK_OK(cold_result(&reads[1]));
    CHECK_OK(jini_close(jini, NULL, NULL));
    jini = open_with_two_threads(); /* with an empty cache */
    uint64_t before = cold_gets(jini);
    cold_faults(jini, "every=1,kinds=delay,delay_ms=60000,operations=get");
    CHECK_OK(cold_submit(jini, &reads[0], &id, 0, 0));
    cold_wait_for(jini, "jini_archive_reads 1");
    CHECK_OK(cold_submit(jini, &reads[1], &id, 0, 30));
    cold_wait_for(jini, "jini_archive_reads 2");
    cold_seconds_pass(31);
    CHECK_STATUS(cold_result(&reads[1]), JINI_E_TIMEOUT);
    CHECK_UINT(atomic_load(&reads[0].times), ==, 0);
    cold_seconds_pass(31);
    CHECK_OK(cold_result(&reads[0]));
    CHECK_UINT(cold_gets(jini) - before, ==, 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static void *cancel_later(void *argument)
{
    struct jini *jini = argument;
    cold_wait_for(jini, "jini_archive_reads 1");
    jini_cancel(jini, &reads[0].get.request);
    return NULL;
}

TEST(a_read_that_somebody_waits_for_can_be_cancelled,
     "jini_cancel() from another thread ends a read that blocks for a cold image.")
{
    struct jini_id id;
    pthread_t thread;
    struct jini *jini = open_with_two_threads();
    cold_images(jini, 0, &id, 1);
    cold_faults(jini, "every=1,kinds=hang,operations=get");
    jini_request_init(&reads[0].get);
    reads[0].get.id = id;
    reads[0].get.buffer = reads[0].bytes;
    reads[0].get.capacity = sizeof(reads[0].bytes);
    CHECK_INT(pthread_create(&thread, NULL, cancel_later, jini), ==, 0);
    CHECK_STATUS(jini_image_get(jini, &reads[0].get, NULL), JINI_E_CANCELLED);
    pthread_join(thread, NULL);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_bad_answer_is_asked_for_again,
     "A record that arrives with a wrong bit is asked for once more; one that keeps arriving wrong "
     "is damage, and refused GETs are the archive's.")
{
    struct jini_id ids[3];
    struct jini *jini = open_with_two_threads();
    cold_images(jini, 0, ids, 3);
    uint64_t before = cold_gets(jini);
    cold_faults(jini, "script=flip+pass,operations=get");
    CHECK_OK(cold_submit(jini, &reads[0], &ids[0], 0, 0));
    CHECK_OK(cold_result(&reads[0]));
    CHECK_UINT(cold_gets(jini) - before, ==, 2);
    cold_faults(jini, "every=1,kinds=flip,operations=get");
    CHECK_OK(cold_submit(jini, &reads[1], &ids[1], 1, 0));
    CHECK_STATUS(cold_result(&reads[1]), JINI_E_CORRUPT);
    CHECK_UINT(cold_gets(jini) - before, ==, 4);
    cold_faults(jini, "every=1,kinds=refuse,operations=get");
    CHECK_STATUS(fixture_get(jini, &ids[2], 2), JINI_E_ARCHIVE);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_poisoned_archive_is_opened_anew_by_the_next_read,
     "A read that meets an archive which can no longer say what is durable fails as of the "
     "archive; the engine is not poisoned, and the next read is served by one that was opened "
     "anew.")
{
    struct jini_id ids[2];
    struct jini *jini = open_with_two_threads();
    cold_images(jini, 0, ids, 2);
    cold_faults(jini, "every=1,kinds=refuse,status=E_POISONED,operations=get");
    CHECK_OK(cold_submit(jini, &reads[0], &ids[0], 0, 0));
    CHECK_STATUS(cold_result(&reads[0]), JINI_E_ARCHIVE);
    CHECK_INT(reads[0].get.request.error.code, ==, JINI_E_ARCHIVE);
    for (unsigned i = 0; i < 2; i++)
        CHECK_OK(fixture_get(jini, &ids[i], i));
    CHECK_OK(jini_close(jini, NULL, NULL));
}
