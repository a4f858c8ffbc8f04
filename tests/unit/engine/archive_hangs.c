/* An archive that does not answer holds up neither closing nor cancelling, and nobody for ever. */
#include "engine/engine_private.h"

#include "archive/fault.h"

#include "engine_fixture.h"

#include <pthread.h>
#include <unistd.h>

enum { AT_ONCE_MS = 1500, HOUR_MS = 3600 * 1000, SOON_MS = 100 };

#define HEALTHY          "skip=0"
#define HANG(operations) "every=1,kinds=hang,operations=" operations

static uint64_t now_ms(void)
{
    return fixture_boot_ns(NULL) / 1000000;
}

/* With one pack in the archive and one that is not, and an archive that then does this. */
static struct jini *open_over(const char *spec, uint64_t lease_ms, struct jini_id *cold)
{
    struct jini_options options;
    struct jini_error error;
    fixture_options(&options);
    snprintf(options.archive_url, sizeof(options.archive_url), "fault:%s:dir:archive", HEALTHY);
    options.background_lease_ms = lease_ms;
    options.cache_image_bytes = 0;
    struct jini *jini = fixture_open_with(&options);
    uint64_t user = fixture_user(jini, "alice", "Premium");
    *cold = fixture_put(jini, user, 1);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    fixture_put(jini, user, 2);
    CHECK_OK(archive_fault_set(jini->archives.handle->archive, spec, &error));
    return jini;
}

static uint64_t hanging(struct jini *jini)
{
    uint64_t counts[FAULT_KINDS];
    archive_fault_counts(jini->archives.handle->archive, counts);
    return counts[FAULT_HANG];
}

static void wait_for_hang(struct jini *jini)
{
    while (hanging(jini) == 0)
        usleep(1000);
}

/* ---- Requests that meet it ---- */

union subject {
    struct jini_request request;
    struct jini_verify verify;
    struct jini_archive_run run;
    struct jini_image_get get;
};

struct meeting {
    union subject subject;
    uint8_t room[1 << 16];
    _Atomic int came_back;
    _Atomic int status;
};

static void on_return(struct jini_request *request)
{
    struct meeting *meeting = request->data;
    atomic_store(&meeting->status, request->status);
    atomic_fetch_add(&meeting->came_back, 1);
}

static void wait_for_return(struct meeting *meeting)
{
    while (!atomic_load(&meeting->came_back))
        usleep(1000);
}

enum what { VERIFY, VERIFY_DEEP, TIER, GET };

static void start(struct jini *jini, struct meeting *meeting, enum what what,
                  const struct jini_id *image)
{
    union subject *subject = &meeting->subject;
    memset(meeting, 0, sizeof(*meeting));
    if (what == VERIFY || what == VERIFY_DEEP) {
        jini_request_init(&subject->verify);
        subject->request.data = meeting;
        subject->verify.flags = what == VERIFY_DEEP ? JINI_VERIFY_DEEP : 0;
        CHECK_OK(jini_verify(jini, &subject->verify, on_return));
    } else if (what == TIER) {
        jini_request_init(&subject->run);
        subject->request.data = meeting;
        subject->run.flags = JINI_TIERING_NOW;
        CHECK_OK(jini_archive_run(jini, &subject->run, on_return));
    } else {
        jini_request_init(&subject->get);
        subject->request.data = meeting;
        subject->get.id = *image;
        subject->get.buffer = meeting->room;
        subject->get.capacity = sizeof(meeting->room);
        CHECK_OK(jini_image_get(jini, &subject->get, on_return));
    }
}

static void check_closes(enum what what, const char *spec)
{
    static struct meeting meeting;
    struct jini_id cold;
    struct jini *jini = open_over(spec, HOUR_MS, &cold);
    start(jini, &meeting, what, &cold);
    wait_for_hang(jini);
    uint64_t began_ms = now_ms();
    CHECK_OK(jini_close(jini, NULL, NULL));
    CHECK_UINT(now_ms() - began_ms, <, AT_ONCE_MS);
    CHECK_INT(meeting.came_back, ==, 1);
    CHECK_STATUS(meeting.status, JINI_E_CANCELLED);
}

static void check_cancels(enum what what, const char *spec)
{
    static struct meeting meeting;
    struct jini_id cold;
    struct jini *jini = open_over(spec, HOUR_MS, &cold);
    start(jini, &meeting, what, &cold);
    wait_for_hang(jini);
    uint64_t began_ms = now_ms();
    jini_cancel(jini, &meeting.subject.request);
    wait_for_return(&meeting);
    CHECK_UINT(now_ms() - began_ms, <, AT_ONCE_MS);
    CHECK_STATUS(meeting.status, JINI_E_CANCELLED);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(
    closing_ends_a_verify_that_hangs,
    "Closing takes no time while a verify waits for the length of an object, its bytes, or a list.")
{
    check_closes(VERIFY, HANG("head"));
    harness_remove(fixture_db());
    check_closes(VERIFY_DEEP, HANG("get"));
    harness_remove(fixture_db());
    check_closes(VERIFY, HANG("list"));
}

TEST(closing_ends_a_run_that_hangs, "Closing takes no time while a run of tiering waits for a PUT, "
                                    "or for reading it back; the next "
                                    "opening archives the pack anew.")
{
    check_closes(TIER, HANG("put"));
    struct jini *jini = fixture_open();
    struct jini_archive_run run;
    fixture_tier(jini, JINI_TIERING_NOW, &run);
    CHECK_UINT(run.packs_archived, ==, 1);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
    harness_remove(fixture_db());
    check_closes(TIER, HANG("get"));
}

TEST(closing_ends_a_get_that_hangs, "Closing takes no time while a cold image is waited for.")
{
    check_closes(GET, HANG("get"));
}

TEST(cancelling_reaches_the_archive,
     "A verify and a run that are cancelled come back at once, though the archive does not answer.")
{
    check_cancels(VERIFY, HANG("head"));
    harness_remove(fixture_db());
    check_cancels(VERIFY_DEEP, HANG("get"));
    harness_remove(fixture_db());
    check_cancels(VERIFY, HANG("list"));
    harness_remove(fixture_db());
    check_cancels(TIER, HANG("put"));
}

struct told {
    unsigned unreadable;
    unsigned unreachable;
    unsigned others;
};

static void count_problem(void *context, const struct jini_verify_problem *problem)
{
    struct told *told = context;
    if (strcmp(problem->kind, "object_unreadable") == 0)
        told->unreadable++;
    else if (strcmp(problem->kind, "archive_unreachable") == 0)
        told->unreachable++;
    else
        told->others++;
}

TEST(a_verify_of_a_silent_archive_ends,
     "Each request of a verify has its time; after three without an answer it says that it asks no "
     "more, and checks the rest.")
{
    enum { PACKS = 5 };
    struct jini_id cold;
    struct jini_error error;
    struct jini *jini = open_over(HEALTHY, SOON_MS, &cold);
    uint64_t user = fixture_user(jini, "bob", "Premium");
    for (uint64_t i = 1; i < PACKS; i++) {
        fixture_put(jini, user, 10 + i);
        fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    }
    CHECK_OK(archive_fault_set(jini->archives.handle->archive, HANG("head+get+list"), &error));
    struct told told = {0};
    struct jini_verify verify;
    jini_request_init(&verify);
    verify.report = count_problem;
    verify.context = &told;
    fixture_must(jini_verify(jini, &verify, NULL), "verify", &verify.request.error);
    CHECK_UINT(verify.packs, >=, PACKS);
    CHECK_UINT(verify.problems, ==, 4);
    CHECK_UINT(told.unreadable, ==, 3);
    CHECK_UINT(told.unreachable, ==, 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Poisoned ---- */

TEST(a_poisoned_archive_is_opened_anew,
     "An archive that can no longer say what is durable fails the pack it was asked for with "
     "JINI_E_ARCHIVE, and the same run archives the next one.")
{
    struct jini_id cold;
    struct jini_archive_run run;
    struct jini_error error;
    struct jini *jini =
        open_over("every=1,kinds=refuse,status=E_POISONED,operations=put", HOUR_MS, &cold);
    fixture_put(jini, fixture_user(jini, "bob", "Basic"), 3); /* of another class */
    jini_request_init(&run);
    run.flags = JINI_TIERING_NOW;
    CHECK_STATUS(jini_archive_run(jini, &run, NULL), JINI_E_ARCHIVE);
    CHECK_UINT(run.packs_failed, ==, 1);
    CHECK_UINT(run.packs_archived, ==, 1);
    CHECK_OK(jini_health(jini, &error));
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, &run);
    CHECK_UINT(run.packs_archived, ==, 1);
    CHECK_OK(fixture_get(jini, &cold, 1));
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* Readers of cold images, over handles that are let go of under them. */
struct readers {
    struct jini *jini;
    struct jini_id image;
    _Atomic bool stop;
};

static void *read_all_the_time(void *argument)
{
    struct readers *readers = argument;
    while (!atomic_load(&readers->stop))
        CHECK_OK(fixture_get(readers->jini, &readers->image, 1));
    return NULL;
}

TEST(readers_meet_no_end_of_a_handle,
     "While poisoned archives are let go of and opened anew, readers beside it get their image.")
{
    enum { ROUNDS = 8, READERS = 3 };
    struct readers readers = {0};
    pthread_t threads[READERS];
    struct jini_error error;
    struct jini *jini = open_over(HEALTHY, HOUR_MS, &readers.image);
    uint64_t user = fixture_user(jini, "bob", "Premium");
    readers.jini = jini;
    for (int i = 0; i < READERS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, read_all_the_time, &readers), ==, 0);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        struct jini_archive_run run;
        fixture_put(jini, user, 100 + i);
        CHECK_OK(archives_open(jini, &error));
        CHECK_OK(archive_fault_set(jini->archives.handle->archive,
                                   "every=1,kinds=refuse,status=E_POISONED,operations=put",
                                   &error));
        jini_request_init(&run);
        run.flags = JINI_TIERING_NOW;
        CHECK_STATUS(jini_archive_run(jini, &run, NULL), JINI_E_ARCHIVE);
    }
    atomic_store(&readers.stop, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
