/*
 * Payments that come and go: two processes intend, settle, refund, dispute and resolve the same
 * payments, all of them at once, while days pass in milliseconds, periods end and revenue is
 * recognised, until both are killed at a random point. What is left must agree with itself:
 * records, periods, tiers, credits, books and events; what was acknowledged is there, and no
 * payment was charged, paid back or told twice.
 */
#include "engine/due.h"
#include "engine/engine_private.h"

#include "engine_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    ROUNDS = 12,
    PROCESSES = 2,
    THREADS = 3,
    USERS = 5,
    PAYMENTS_PER_ROUND = 40,
    PAYMENTS_MAX = 65536,
    MESSAGES_MAX = 400,
    PRICES = 3,
    GRACE_S = 2 * 86400
};

/* Wall time runs so much faster for all that have the database open: a day in 40 ms. */
enum { PACE = 2160000 };

static const char *const prices[PRICES] = {"basic", "premium", "credits"};
static const uint64_t amounts[PRICES] = {601, 1499, 333};

static uint64_t epoch_ns;

static uint64_t fast_wall_ns(void *context)
{
    return epoch_ns + (fixture_wall_ns(context) - epoch_ns) * PACE;
}

static const struct jini_clock fast_clock = {fast_wall_ns, fixture_boot_ns, NULL};

static struct jini *open_engine(bool background)
{
    struct jini_options options;
    fixture_options(&options);
    options.store_run_twice = 0;
    options.clock = &fast_clock;
    options.background_run = background;
    options.background_interval_ms = 10;
    options.payments_same_ms = 0;
    options.payments_grace_s = GRACE_S;
    return fixture_open_with(&options);
}

static struct jini_id id_of(uint64_t number)
{
    struct jini_id id = {.bytes = {0x70}};
    for (int i = 0; i < 8; i++)
        id.bytes[15 - i] = (uint8_t)(number >> 8 * i);
    return id;
}

/* ---- The children ---- */

enum step { SETTLED = 1, REFUNDED = 2, DISPUTED = 4, WON = 8, LOST = 16 };

struct said {
    uint32_t number;
    uint32_t step; /* enum step */
};

static struct jini *child_engine;
static int child_pipe;
static uint64_t child_users[USERS];
static uint64_t child_first; /* payments of this round */

static void say(uint64_t number, enum step step)
{
    struct said said = {(uint32_t)number, step};
    if (write(child_pipe, &said, sizeof(said)) != sizeof(said))
        _exit(1);
}

/* Whatever another thread was faster with. */
static bool is_done(int status, const struct jini_error *error)
{
    if (status != 0 && status != JINI_E_CONFLICT && status != JINI_E_NOT_FOUND &&
        status != JINI_E_BUSY)
        fixture_must(status, "payment", error);
    return status == 0;
}

static void pay(uint64_t number)
{
    struct jini_payment_intend intend;
    struct jini_payment_settle settle;
    jini_request_init(&intend);
    intend.id = id_of(number);
    intend.user_id = child_users[number % USERS];
    snprintf(intend.price, sizeof(intend.price), "%s", prices[number % PRICES]);
    if (!is_done(jini_payment_intend(child_engine, &intend, NULL), &intend.request.error))
        return;
    jini_request_init(&settle);
    settle.id = intend.id;
    settle.fee = 7;
    if (is_done(jini_payment_settle(child_engine, &settle, NULL), &settle.request.error))
        say(number, SETTLED);
}

typedef int end_fn(struct jini *jini, struct jini_payment_end *end, jini_callback *callback);

static void end_payment(end_fn *call, uint64_t number, uint32_t outcome, enum step step)
{
    struct jini_payment_end end;
    jini_request_init(&end);
    end.id = id_of(number);
    end.outcome = outcome;
    if (is_done(call(child_engine, &end, NULL), &end.request.error))
        say(number, step);
}

static void *child_thread(void *argument)
{
    uint64_t random = *(const uint64_t *)argument;
    for (;;) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t number = child_first + (random >> 33) % PAYMENTS_PER_ROUND;
        switch ((random >> 24) % 16) {
        case 0:
            end_payment(jini_payment_refund, number, 0, REFUNDED);
            break;
        case 1:
            end_payment(jini_payment_dispute, number, 0, DISPUTED);
            break;
        case 2:
            end_payment(jini_payment_resolve, number, JINI_DISPUTE_WON, WON);
            break;
        case 3:
            end_payment(jini_payment_resolve, number, JINI_DISPUTE_LOST, LOST);
            break;
        default:
            pay(number);
        }
    }
    return NULL;
}

static void child_main(int to, const uint64_t users[USERS], uint64_t first, uint64_t seed)
{
    pthread_t threads[THREADS];
    uint64_t seeds[THREADS];
    child_pipe = to;
    child_first = first;
    memcpy(child_users, users, sizeof(child_users));
    child_engine = open_engine(true);
    for (uint64_t i = 0; i < THREADS; i++) {
        seeds[i] = seed + i;
        CHECK_INT(pthread_create(&threads[i], NULL, child_thread, &seeds[i]), ==, 0);
    }
    pthread_join(threads[0], NULL);
    _exit(1);
}

/* ---- What was acknowledged ---- */

static uint8_t acked[PAYMENTS_MAX]; /* enum step, by number */
static size_t acked_count;

static bool listen(int from, unsigned most, int wait_ms)
{
    struct pollfd ready = {.fd = from, .events = POLLIN};
    for (unsigned i = 0; i < most; i++) {
        struct said said;
        if (poll(&ready, 1, wait_ms) <= 0 || read(from, &said, sizeof(said)) != sizeof(said))
            return false;
        CHECK_UINT(said.number, <, PAYMENTS_MAX);
        acked[said.number] |= (uint8_t)said.step;
        acked_count++;
    }
    return true;
}

static void run_children(const uint64_t users[USERS], uint64_t first)
{
    pid_t pids[PROCESSES];
    int ends[2];
    CHECK_INT(pipe(ends), ==, 0);
    fcntl(ends[0], F_SETPIPE_SZ, 1 << 20);
    fflush(NULL);
    for (uint64_t i = 0; i < PROCESSES; i++) {
        uint64_t seed = harness_random();
        pids[i] = fork();
        CHECK(pids[i] >= 0);
        if (pids[i] == 0)
            child_main(ends[1], users, first, seed);
    }
    close(ends[1]);
    listen(ends[0], 1 + (unsigned)harness_random_below(MESSAGES_MAX), 20000);
    nanosleep(&(struct timespec){.tv_nsec = (long)harness_random_below(3000000)}, NULL);
    for (int i = 0; i < PROCESSES; i++)
        kill(pids[i], SIGKILL);
    while (listen(ends[0], UINT32_MAX, -1))
        continue;
    close(ends[0]);
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        CHECK_INT(waitpid(pids[i], &status, 0), ==, pids[i]);
        CHECK(WIFSIGNALED(status)); /* else it met an error, and said so */
    }
}

/* ---- What is left ---- */

static uint8_t told[PAYMENTS_MAX]; /* enum step, by number */
static struct jini_events_cursor cursor;

static uint64_t number_of(const struct jini_id *id)
{
    uint64_t number = 0;
    for (int i = 8; i < 16; i++)
        number = number << 8 | id->bytes[i];
    CHECK_UINT(number, <, PAYMENTS_MAX);
    return number;
}

static uint8_t step_of(const char *type)
{
    static const struct {
        const char *type;
        enum step step;
    } steps[] = {{"payment.settled", SETTLED},
                 {"payment.refunded", REFUNDED},
                 {"payment.disputed", DISPUTED},
                 {"payment.dispute_won", WON},
                 {"payment.dispute_lost", LOST}};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (strcmp(steps[i].type, type) == 0)
            return (uint8_t)steps[i].step;
    }
    return 0;
}

/* No step of a payment is told twice. */
static void take_events(struct jini *jini)
{
    static struct jini_event events[256];
    static char text[2 * JINI_EVENT_PAYLOAD_MAX];
    struct jini_events_filter filter = {.prefix_count = 1, .prefixes = {"payment."}};
    struct jini_error error;
    for (cursor.ended = 0; !cursor.ended;) {
        struct jini_events_page page = {
            .events = events, .capacity = 256, .text = text, .text_capacity = sizeof(text)};
        fixture_must(jini_events_list(jini, &filter, &cursor, &page, &error), "events", &error);
        for (uint32_t i = 0; i < page.count; i++) {
            uint8_t step = step_of(events[i].type);
            uint8_t *seen = &told[number_of(&events[i].subject_id)];
            CHECK_UINT(*seen & step, ==, 0);
            *seen |= step;
        }
    }
}

/* Which steps a payment has gone. */
static uint8_t steps_of(const struct jini_payment *payment)
{
    bool lost = payment->outcome == JINI_DISPUTE_LOST;
    uint8_t steps = payment->received_ms && !payment->refusal ? SETTLED : 0;
    if (payment->state == JINI_PAYMENT_REFUNDED && !lost)
        steps |= REFUNDED;
    if (payment->disputed_ms)
        steps |= DISPUTED;
    if (payment->outcome == JINI_DISPUTE_WON)
        steps |= WON;
    return lost ? steps | LOST : steps;
}

struct sums {
    int64_t cash;
    int64_t deferred;
    int64_t unmatched;
    int64_t disputed;
};

static void check_payment(const struct jini_payment *payment, struct sums *sums)
{
    uint64_t number = number_of(&payment->id);
    uint8_t steps = steps_of(payment);
    uint64_t held = payment->state == JINI_PAYMENT_DISPUTED ? payment->received : 0;
    bool refused = payment->state == JINI_PAYMENT_REFUSED;
    CHECK_UINT(steps, ==, told[number]);
    if (payment->refusal == 0)
        CHECK_UINT(acked[number] & ~steps, ==, 0);
    if (payment->received_ms)
        CHECK_UINT(payment->received, ==, amounts[number % PRICES]);
    sums->cash += (int64_t)(payment->received - payment->refunded - held - payment->fee);
    sums->deferred += (int64_t)payment->deferred;
    sums->unmatched += refused ? (int64_t)payment->received : 0;
    sums->disputed += (int64_t)held;
}

static void check_books(struct jini *jini)
{
    static struct jini_payment payments[256];
    struct sums sums = {0};
    struct jini_books books;
    struct jini_error error;
    struct jini_id after = {{0}};
    size_t count = 1;
    while (count > 0) {
        fixture_must(jini_payment_list(jini, 0, &after, payments, 256, &count, &error), "list",
                     &error);
        for (size_t i = 0; i < count; i++)
            check_payment(&payments[i], &sums);
        if (count > 0)
            after = payments[count - 1].id;
    }
    fixture_must(jini_books_get(jini, "EUR", &books, &error), "books", &error);
    CHECK_INT(books.cash, ==, sums.cash);
    CHECK_INT(books.deferred, ==, sums.deferred);
    CHECK_INT(books.unmatched, ==, sums.unmatched);
    CHECK_INT(books.disputed, ==, sums.disputed);
    CHECK_INT(books.cash + books.fees + books.disputed + books.refunds, ==,
              books.deferred + books.revenue + books.unmatched);
}

static void check_database(void)
{
    struct jini *jini = open_engine(false);
    fixture_verify(jini);
    take_events(jini);
    check_books(jini);
    due_tend(jini); /* what fell due when nobody was there */
    take_events(jini);
    check_books(jini);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static void sell(struct jini *jini, int which, const char *tier, uint64_t credits)
{
    struct jini_price_set set;
    jini_request_init(&set);
    snprintf(set.price.name, sizeof(set.price.name), "%s", prices[which]);
    snprintf(set.price.tier, sizeof(set.price.tier), "%s", tier);
    snprintf(set.price.currency, sizeof(set.price.currency), "EUR");
    set.price.amount = amounts[which];
    set.price.credits = credits;
    set.price.credits_amount = tier[0] == '\0' ? amounts[which] : credits;
    set.price.days = 3;
    set.price.credits_expire = credits > 0;
    fixture_must(jini_price_set(jini, &set, NULL), "price", &set.request.error);
}

static void make_database(uint64_t users[USERS])
{
    struct jini *jini = open_engine(false);
    for (int i = 0; i < USERS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "user%d", i);
        users[i] = fixture_user(jini, name, "Free");
    }
    sell(jini, 0, "Basic", 0);
    sell(jini, 1, "Premium", 50);
    sell(jini, 2, "", 20);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(payments_agree_after_every_kill,
     "Killed among payments that two processes make at once, what was acknowledged is there, and "
     "records, tiers, credits, books and events agree to the cent; nothing happens twice.")
{
    uint64_t users[USERS];
    uint64_t steps = 0;
    epoch_ns = fixture_wall_ns(NULL);
    make_database(users);
    unsigned rounds = ROUNDS * harness_scale() / (harness_sanitized() ? 2 : 1);
    for (uint64_t i = 0; i < rounds; i++) {
        run_children(users, (i + 1) * PAYMENTS_PER_ROUND % (PAYMENTS_MAX - PAYMENTS_PER_ROUND));
        check_database();
    }
    for (size_t i = 0; i < PAYMENTS_MAX; i++)
        steps |= told[i];
    printf("     %zu steps acknowledged in %u lives\n", acked_count, rounds);
    CHECK_UINT(steps, ==, SETTLED | REFUNDED | DISPUTED | WON | LOST);
}
