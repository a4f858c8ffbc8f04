/* Quotas of every kind of period through admissions, by a clock that the test sets. */
#include "engine_fixture.h"

#include <stdatomic.h>

static _Atomic uint64_t wall_ns;

static uint64_t set_wall_ns(void *context)
{
    (void)context;
    return atomic_load(&wall_ns);
}

static const struct jini_clock set_clock = {set_wall_ns, fixture_boot_ns, NULL};

/* Sets the clock to "2026-03-28T22:59:58Z" and so many milliseconds. */
static void set_time(const char *text, uint64_t ms)
{
    struct tm time = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &time);
    CHECK(end && *end == '\0');
    atomic_store(&wall_ns, (uint64_t)timegm(&time) * 1000000000u + ms * 1000000u);
}

static void set_limits(struct jini *jini, const char *limits)
{
    struct jini_tier_set set;
    struct jini_error error;
    jini_request_init(&set);
    CHECK_OK(jini_tier_get(jini, "Basic", &set.tier, &error));
    snprintf(set.tier.allowance.limits, sizeof(set.tier.allowance.limits), "%s", limits);
    set.tier.allowance.parallel_max = 0;
    fixture_must(jini_tier_set(jini, &set, NULL), "tier", &set.request.error);
}

static struct jini *open_with(const char *limits)
{
    struct jini_options options;
    fixture_options(&options);
    options.clock = &set_clock;
    struct jini *jini = fixture_open_with(&options);
    set_limits(jini, limits);
    return jini;
}

static int admit_some(struct jini *jini, uint64_t user, uint32_t count, struct jini_admit *admit)
{
    jini_request_init(admit);
    admit->subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    admit->parameters =
        (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = count};
    return jini_admit(jini, admit, NULL);
}

/* Admits so many and has them done, so that no lease that ends gives them back. */
static void use(struct jini *jini, uint64_t user, uint32_t count, struct jini_admit *admit)
{
    struct jini_settle settle;
    fixture_must(admit_some(jini, user, count, admit), "admit", &admit->request.error);
    jini_request_init(&settle);
    settle.job_id = admit->job.id;
    fixture_must(jini_settle(jini, &settle, NULL), "settle", &settle.request.error);
}

/* Uses all that a window has left. */
static void spend(struct jini *jini, uint64_t user, uint32_t count, struct jini_admit *admit)
{
    use(jini, user, count, admit);
    CHECK_UINT(admit->answer.entries[0].remaining, ==, 0);
}

/* Nothing is left, for so many milliseconds. */
static void check_refused(struct jini *jini, uint64_t user, uint64_t ms)
{
    struct jini_admit admit;
    CHECK_STATUS(admit_some(jini, user, 1, &admit), JINI_E_LIMITED);
    CHECK_TEXT(admit.request.error.field, "quota");
    CHECK_UINT(admit.answer.decided, ==, 0);
    CHECK_UINT(admit.answer.entries[0].remaining, ==, 0);
    CHECK_UINT(admit.answer.entries[0].reset_ms, ==, ms);
    CHECK_UINT(admit.answer.retry_after_ms, ==, ms);
    CHECK_UINT(admit.request.error.retry_after_ms, ==, ms);
}

TEST(a_calendar_day_ends_at_the_zones_midnight,
     "A quota by the calendar begins anew when the day of its zone does, also on a day of 23 "
     "hours; what a job of the day before gives back is not given to the new one.")
{
    struct jini *jini = open_with("3/day calendar Europe/Berlin");
    struct jini_admit before;
    struct jini_admit admit;
    set_time("2026-03-28T22:59:58Z", 0);
    uint64_t user = fixture_user(jini, "alice", "Basic");
    CHECK_OK(admit_some(jini, user, 3, &before));
    check_refused(jini, user, 2000);
    set_time("2026-03-28T22:59:59Z", 999);
    check_refused(jini, user, 1);
    set_time("2026-03-28T23:00:00Z", 0);
    use(jini, user, 2, &admit);
    CHECK_UINT(admit.answer.entries[0].remaining, ==, 1);
    CHECK_UINT(admit.answer.entries[0].reset_ms, ==, 23 * 3600000);
    fixture_release(jini, &before.job.id, JINI_JOB_CANCELLED);
    spend(jini, user, 1, &admit);
    set_time("2026-03-29T21:59:59Z", 999);
    check_refused(jini, user, 1);
    set_time("2026-03-29T22:00:00Z", 0);
    spend(jini, user, 3, &admit);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(an_anchored_month_ends_on_the_users_day,
     "A quota by the anchor begins anew at the time of the month at which the user was made, or on "
     "the last day of a month without it; each user has days of its own.")
{
    struct jini *jini = open_with("2/month anchor");
    struct jini_admit admit;
    set_time("2026-01-30T12:00:00Z", 0);
    uint64_t other = fixture_user(jini, "bob", "Basic");
    set_time("2026-01-31T10:00:00Z", 0);
    uint64_t user = fixture_user(jini, "alice", "Basic");
    spend(jini, user, 2, &admit);
    spend(jini, other, 2, &admit);
    check_refused(jini, user, UINT64_C(28) * 86400000);
    set_time("2026-02-28T09:59:59Z", 999);
    check_refused(jini, user, 1);
    set_time("2026-02-28T10:00:00Z", 0);
    spend(jini, user, 2, &admit);
    check_refused(jini, other, 2 * 3600000);
    set_time("2026-02-28T12:00:00Z", 0);
    spend(jini, other, 2, &admit);
    set_time("2026-03-30T12:00:00Z", 0);
    spend(jini, other, 2, &admit);
    set_time("2026-03-31T09:59:59Z", 999);
    check_refused(jini, user, 1);
    set_time("2026-03-31T10:00:00Z", 0);
    spend(jini, user, 2, &admit);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_respelled_day_admits_no_more,
     "A tier whose 3/day becomes 3/24 hours goes on with what its users have used.")
{
    struct jini *jini = open_with("3/day");
    struct jini_admit admit;
    set_time("2026-03-01T12:00:00Z", 0);
    uint64_t user = fixture_user(jini, "alice", "Basic");
    spend(jini, user, 3, &admit);
    set_limits(jini, "3/24 hours");
    check_refused(jini, user, 86400000);
    set_time("2026-03-02T12:00:00Z", 0);
    spend(jini, user, 3, &admit);
    set_limits(jini, "3/1440 minutes");
    check_refused(jini, user, 86400000);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_clock_set_back_opens_no_window_again,
     "Set back over the begin of a window, the clock stays in it, whatever the kind of its period; "
     "jobs still end, and the next window comes at its own time.")
{
    static const struct {
        const char *limits;
        const char *after; /* the begin of the second window */
        const char *next;  /* the begin of the third */
    } cases[] = {
        {"3/day calendar Europe/Berlin", "2026-05-01T22:00:00Z", "2026-05-02T22:00:00Z"},
        {"3/month anchor", "2026-06-01T12:00:00Z", "2026-07-01T12:00:00Z"},
        {"3/day", "2026-05-02T12:00:00Z", "2026-05-03T12:00:00Z"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char name[16];
        struct jini_admit first;
        struct jini_admit admit;
        set_time("2026-05-01T12:00:00Z", 0);
        struct jini *jini = open_with(cases[i].limits);
        snprintf(name, sizeof(name), "user%zu", i);
        uint64_t user = fixture_user(jini, name, "Basic");
        spend(jini, user, 3, &admit);
        set_time(cases[i].after, 0);
        CHECK_OK(admit_some(jini, user, 1, &first));
        use(jini, user, 1, &admit);
        uint64_t window_ms = admit.answer.entries[0].reset_ms;
        set_time("2026-05-01T12:00:00Z", 0);
        spend(jini, user, 1, &admit);
        CHECK_STATUS(admit_some(jini, user, 1, &admit), JINI_E_LIMITED);
        CHECK_UINT(admit.answer.retry_after_ms, >, window_ms);
        fixture_release(jini, &first.job.id, JINI_JOB_CANCELLED);
        spend(jini, user, 1, &admit);
        set_time(cases[i].after, 0);
        check_refused(jini, user, window_ms);
        set_time(cases[i].next, 0);
        spend(jini, user, 3, &admit);
        fixture_verify(jini);
        CHECK_OK(jini_close(jini, NULL, NULL));
    }
}

TEST(a_clock_that_ran_ahead_is_undone_by_a_reset,
     "What was counted while the clock was years ahead holds when it is set right, until a reset.")
{
    struct jini *jini = open_with("3/day calendar");
    struct jini_admit admit;
    struct jini_limit_reset reset;
    set_time("2031-03-01T12:00:00Z", 0);
    uint64_t user = fixture_user(jini, "alice", "Basic");
    spend(jini, user, 3, &admit);
    set_time("2026-03-01T12:00:00Z", 0);
    CHECK_STATUS(admit_some(jini, user, 1, &admit), JINI_E_LIMITED);
    CHECK_UINT(admit.answer.retry_after_ms, >, UINT64_C(5) * 365 * 86400000);
    jini_request_init(&reset);
    reset.subject = admit.subject;
    CHECK_OK(jini_limit_reset(jini, &reset, NULL));
    spend(jini, user, 3, &admit);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_window_keeps_its_end_when_the_clock_is_set_back,
     "After the clock was set back a quota is told to reset at the end of the window that it has "
     "counted in, though that is more than a period away, and is there again then.")
{
    enum { HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS };
    struct jini *jini = open_with("3/day");
    struct jini_admit admit;
    uint64_t user = fixture_user(jini, "ada", "Basic");
    set_time("2026-03-10T12:00:00Z", 0);
    spend(jini, user, 3, &admit);
    check_refused(jini, user, DAY_MS);
    set_time("2026-03-07T12:00:00Z", 0);
    check_refused(jini, user, 4 * (uint64_t)DAY_MS);
    set_time("2026-03-11T12:00:00Z", 0);
    spend(jini, user, 3, &admit);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
