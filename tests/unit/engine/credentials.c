/* Keys and sessions of the engine: making, checking and ending them, and what they admit. */
#include "found.h"
#include "full.h"
#include "plant.h"

#include <pthread.h>
#include <unistd.h>

static void add_key(struct jini *jini, uint64_t user, const char *limits, struct jini_key_add *add)
{
    jini_request_init(add);
    add->key.user_id = user;
    snprintf(add->key.name, sizeof(add->key.name), "build server");
    snprintf(add->key.limits, sizeof(add->key.limits), "%s", limits);
    fixture_must(jini_key_add(jini, add, NULL), "key", &add->request.error);
}

static struct jini_user user_of_id(struct jini *jini, uint64_t id)
{
    struct jini_user user;
    struct jini_error error;
    CHECK_OK(jini_user_get(jini, id, &user, &error));
    return user;
}

static int begin_session(struct jini *jini, const struct jini_user *user, uint64_t expires_ms,
                         struct jini_session_begin *begin)
{
    jini_request_init(begin);
    begin->session.user_id = user->id;
    begin->session.expires_ms = expires_ms;
    begin->revocation_epoch = user->revocation_epoch;
    return jini_session_begin(jini, begin, NULL);
}

static int revoke_one(struct jini *jini, uint64_t id)
{
    struct jini_credential_revoke request;
    jini_request_init(&request);
    request.id = id;
    return jini_credential_revoke(jini, &request, NULL);
}

static int check(struct jini *jini, const char *text)
{
    struct jini_credential credential;
    struct jini_user user;
    struct jini_error error;
    int status = jini_credential_check(jini, text, &credential, &user, &error);
    CHECK_INT(error.code, ==, status);
    CHECK_INT(credential.id != 0, ==, status == 0);
    CHECK_INT(user.id != 0, ==, status == 0);
    return status;
}

static void prepare(struct jini_admit *admit, const char *credential)
{
    jini_request_init(admit);
    admit->credential = credential;
    admit->parameters =
        (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = 1};
    admit->prompt = "a lighthouse";
}

static int admit_by(struct jini *jini, const char *credential, struct jini_admit *admit)
{
    prepare(admit, credential);
    return jini_admit(jini, admit, NULL);
}

static void set_user(struct jini *jini, uint64_t id, uint32_t fields, uint32_t flags)
{
    struct jini_user_set set;
    jini_request_init(&set);
    set.user.id = id;
    set.user.flags = flags;
    set.fields = fields;
    fixture_must(jini_user_set(jini, &set, NULL), "user", &set.request.error);
}

static void pass_ms(uint64_t ms)
{
    __atomic_fetch_add(&fixture_wall_offset_ns, ms * NS_PER_MS, __ATOMIC_RELAXED);
}

static uint64_t now_ms(void)
{
    return fixture_wall_ns(NULL) / NS_PER_MS;
}

/* ---- Keys ---- */

TEST(a_key_stands_for_its_user_until_it_is_revoked,
     "A key is told once, is its user's in another handle too, is listed without its secret, and "
     "admits nothing once it was revoked.")
{
    struct jini *jini = fixture_open();
    uint64_t alice = fixture_user(jini, "alice", "Premium");
    struct jini_credential list[2];
    struct jini_key_add add;
    struct jini_admit admit;
    struct jini_error error;
    size_t count;
    uint64_t id;
    add_key(jini, alice, "", &add);
    CHECK_UINT(strlen(add.text), ==, 42);
    CHECK(strncmp(add.text, add.key.shown, strlen(add.key.shown)) == 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
    jini = fixture_open();
    CHECK_OK(check(jini, add.text));
    CHECK_OK(admit_by(jini, add.text, &admit));
    CHECK_UINT(admit.job.user_id, ==, alice);
    CHECK_UINT(admit.subject.number, ==, alice);
    CHECK_UINT(admit.key_answer.count, ==, 0);
    CHECK_OK(jini_credential_list(jini, alice, JINI_KEY, 0, list, 2, &count, &error));
    CHECK_UINT(count, ==, 1);
    CHECK_TEXT(list[0].name, "build server");
    CHECK_OK(jini_credential_parse_id(list[0].shown, &id));
    CHECK_UINT(id, ==, add.key.id);
    CHECK_OK(jini_credential_list(jini, alice, JINI_SESSION, 0, list, 2, &count, &error));
    CHECK_UINT(count, ==, 0);
    CHECK_OK(revoke_one(jini, id));
    CHECK_STATUS(check(jini, add.text), JINI_E_DENIED);
    CHECK_STATUS(admit_by(jini, add.text, &admit), JINI_E_DENIED);
    CHECK_TEXT(admit.request.error.field, "credential");
    CHECK_OK(jini_credential_get(jini, id, &list[0], &error));
    CHECK_UINT(list[0].revoked_ms, >, 0);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_wrong_secret_is_denied_in_the_same_words_as_no_key,
     "A key's id with another secret, another kind or no key at all: denied, in one wording.")
{
    struct jini *jini = fixture_open();
    struct jini_credential out;
    struct jini_key_add add;
    struct jini_error wrong;
    struct jini_error unknown;
    add_key(jini, fixture_user(jini, "alice", "Premium"), "", &add);
    char *last = &add.text[strlen(add.text) - 1];
    *last = *last == '0' ? '1' : '0';
    CHECK_STATUS(jini_credential_check(jini, add.text, &out, NULL, &wrong), JINI_E_DENIED);
    add.text[3] = add.text[3] == '0' ? '1' : '0';
    CHECK_STATUS(jini_credential_check(jini, add.text, &out, NULL, &unknown), JINI_E_DENIED);
    CHECK_TEXT(wrong.message, unknown.message);
    CHECK_STATUS(check(jini, NULL), JINI_E_DENIED);
    CHECK_STATUS(check(jini, "null"), JINI_E_DENIED);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_key_has_a_time,
     "A key admits until it expires, and says then that its time is over; none is made that has "
     "expired.")
{
    struct jini *jini = fixture_open();
    struct jini_admit admit;
    struct jini_key_add add;
    jini_request_init(&add);
    add.key.user_id = fixture_user(jini, "alice", "Premium");
    add.key.expires_ms = now_ms() + 60000;
    CHECK_OK(jini_key_add(jini, &add, NULL));
    CHECK_OK(admit_by(jini, add.text, &admit));
    pass_ms(60000);
    CHECK_STATUS(check(jini, add.text), JINI_E_EXPIRED);
    CHECK_STATUS(admit_by(jini, add.text, &admit), JINI_E_EXPIRED);
    CHECK_STATUS(jini_key_add(jini, &add, NULL), JINI_E_INVALID);
    CHECK_TEXT(add.request.error.field, "expires_ms");
    CHECK_TEXT(add.text, "");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(members_of_a_key_have_rules,
     "Names with control characters or without end, quotas, too many limits and no user are "
     "refused by name.")
{
    struct jini *jini = fixture_open();
    uint64_t alice = fixture_user(jini, "alice", "Premium");
    static const struct {
        const char *name;
        const char *limits;
    } bad[] = {{"a\nb", ""},        {"\xff", ""},
               {"", "5/day"},       {"", "1/second; 2/minute; 9/10 minutes"},
               {"", "five/minute"}, {"", "5/hour"}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct jini_key_add add;
        jini_request_init(&add);
        add.key.user_id = alice;
        snprintf(add.key.name, sizeof(add.key.name), "%s", bad[i].name);
        snprintf(add.key.limits, sizeof(add.key.limits), "%s", bad[i].limits);
        CHECK_STATUS(jini_key_add(jini, &add, NULL), JINI_E_INVALID);
    }
    struct jini_key_add add;
    jini_request_init(&add);
    add.key.user_id = alice;
    memset(add.key.name, 'x', sizeof(add.key.name));
    CHECK_STATUS(jini_key_add(jini, &add, NULL), JINI_E_INVALID);
    jini_request_init(&add);
    add.key.user_id = alice + 1;
    CHECK_STATUS(jini_key_add(jini, &add, NULL), JINI_E_NOT_FOUND);
    CHECK_STATUS(revoke_one(jini, 0), JINI_E_INVALID);
    CHECK_STATUS(revoke_one(jini, 5), JINI_E_NOT_FOUND);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* Whether the bytes stand in the file of the database. */
static bool file_has(const char *bytes, size_t length)
{
    FILE *file = fopen(harness_path("db/data.mdb"), "rb");
    CHECK(file);
    CHECK_INT(fseek(file, 0, SEEK_END), ==, 0);
    long size = ftell(file);
    char *all = malloc((size_t)size);
    rewind(file);
    CHECK(all && fread(all, 1, (size_t)size, file) == (size_t)size);
    fclose(file);
    bool found = memmem(all, (size_t)size, bytes, length) != NULL;
    free(all);
    return found;
}

TEST(a_secret_is_stored_nowhere,
     "Neither the text of a key nor its secret stands in the file of the database, where its name "
     "does.")
{
    struct jini *jini = fixture_open();
    struct jini_key_add add;
    add_key(jini, fixture_user(jini, "alice", "Premium"), "", &add);
    CHECK_OK(jini_close(jini, NULL, NULL));
    CHECK(file_has("build server", 12));
    CHECK(!file_has(add.text, strlen(add.text)));
    CHECK(!file_has(add.text + 16, 26));
}

/* ---- Limits of a key ---- */

static uint64_t key_left(struct jini *jini, const struct jini_key_add *add)
{
    struct jini_admit admit;
    prepare(&admit, add->text);
    admit.parameters.count = 100; /* refused, which charges nothing */
    CHECK_STATUS(jini_admit(jini, &admit, NULL), JINI_E_LIMITED);
    CHECK_UINT(admit.key_answer.count, ==, 1);
    return admit.key_answer.entries[0].remaining;
}

TEST(a_key_is_limited_beside_its_user,
     "The limits of a key count this key alone; what they refuse is said to be the key's, with the "
     "time to come back, and charges nothing of its user's; what its user's refuse charges no key.")
{
    struct jini *jini = fixture_open();
    uint64_t alice = fixture_user(jini, "alice", "Free"); /* five a minute */
    struct jini_key_add narrow;
    struct jini_key_add wide;
    struct jini_admit admit;
    add_key(jini, alice, "2/minute", &narrow);
    add_key(jini, alice, "50/minute", &wide);
    CHECK_OK(admit_by(jini, narrow.text, &admit));
    CHECK_UINT(admit.key_answer.entries[0].remaining, ==, 1);
    CHECK_UINT(admit.answer.entries[0].remaining, ==, 4);
    CHECK_OK(admit_by(jini, narrow.text, &admit));
    CHECK_STATUS(admit_by(jini, narrow.text, &admit), JINI_E_LIMITED);
    CHECK_TEXT(admit.request.error.field, "key");
    CHECK_CONTAINS(admit.request.error.message, narrow.key.shown);
    CHECK_UINT(admit.key_answer.decided, ==, 0);
    CHECK_UINT(admit.answer.decided, ==, JINI_LIMITS_MAX);
    CHECK_UINT(admit.answer.retry_after_ms, >, 0);
    CHECK_UINT(admit.answer.entries[0].remaining, ==, 3);
    CHECK_OK(admit_by(jini, wide.text, &admit));
    CHECK_UINT(key_left(jini, &wide), ==, 49);
    for (int i = 0; i < 2; i++)
        CHECK_OK(admit_by(jini, wide.text, &admit));
    CHECK_STATUS(admit_by(jini, wide.text, &admit), JINI_E_LIMITED); /* the user's */
    CHECK_UINT(admit.answer.decided, ==, 0);
    CHECK_UINT(admit.key_answer.entries[0].remaining, ==, 47);
    CHECK_UINT(key_left(jini, &wide), ==, 47);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_job_that_fails_gives_the_key_its_unit_back,
     "The unit of a key comes back with that of its user when the job is released, or when the "
     "transaction refuses, and stays used when it is settled.")
{
    struct jini *jini = fixture_open();
    uint64_t alice = fixture_user(jini, "alice", "Premium");
    struct jini_key_add add;
    struct jini_admit admit;
    add_key(jini, alice, "10/minute; 400/10 minutes", &add);
    CHECK_OK(admit_by(jini, add.text, &admit));
    CHECK_UINT(admit.key_answer.entries[0].remaining, ==, 9);
    CHECK_UINT(admit.key_answer.entries[1].remaining, ==, 399);
    fixture_release(jini, &admit.job.id, JINI_JOB_FAILED);
    CHECK_OK(admit_by(jini, add.text, &admit));
    CHECK_UINT(admit.key_answer.entries[0].remaining, ==, 9);
    CHECK_UINT(admit.key_answer.entries[1].remaining, ==, 399);
    fixture_settle(jini, &admit.job.id);
    CHECK_OK(admit_by(jini, add.text, &admit));
    CHECK_UINT(admit.key_answer.entries[0].remaining, ==, 8);
    full_begin(jini);
    CHECK_STATUS(admit_by(jini, add.text, &admit), JINI_E_FULL);
    CHECK_UINT(admit.key_answer.entries[0].remaining, ==, 8);
    CHECK_OK(revoke_one(jini, add.key.id));
    full_end(jini);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(limits_of_a_user_and_of_a_key_stand_in_one_record,
     "With eight limits of the user and two of the key all ten come back when the job fails, in "
     "another handle too.")
{
    static const char limits[] = "90/second; 91/minute; 92/2 minutes; 93/3 minutes; 94/4 minutes; "
                                 "95/5 minutes; 96/6 minutes; 97/7 minutes";
    struct jini *jini = fixture_open();
    struct jini_user_set set;
    struct jini_key_add add;
    struct jini_admit admit;
    jini_request_init(&set);
    set.user.id = fixture_user(jini, "alice", "Premium");
    set.fields = JINI_USER_FIELD_OVERRIDES;
    set.override_fields = set.user.override_mask = JINI_ALLOWANCE_LIMITS;
    snprintf(set.user.overrides.limits, sizeof(set.user.overrides.limits), "%s", limits);
    CHECK_OK(jini_user_set(jini, &set, NULL));
    add_key(jini, set.user.id, "80/minute; 81/10 minutes", &add);
    CHECK_OK(admit_by(jini, add.text, &admit));
    struct jini_id job = admit.job.id;
    CHECK_OK(jini_close(jini, NULL, NULL));
    jini = fixture_open();
    fixture_verify(jini);
    fixture_release(jini, &job, JINI_JOB_FAILED);
    CHECK_OK(admit_by(jini, add.text, &admit));
    for (uint32_t i = 1; i < 8; i++)
        CHECK_UINT(admit.answer.entries[i].remaining, ==, 90 + i - 1);
    CHECK_UINT(admit.key_answer.entries[0].remaining, ==, 79);
    CHECK_UINT(admit.key_answer.entries[1].remaining, ==, 80);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Sessions ---- */

TEST(a_session_ends_by_its_time_by_name_and_with_all,
     "A session is over when its time is, when it is revoked, and when all of its user are, by "
     "hand or by a new password; none begins of a login before that.")
{
    struct jini *jini = fixture_open();
    uint64_t alice = fixture_user(jini, "alice", "Premium");
    struct jini_user user = user_of_id(jini, alice);
    struct jini_session_begin first;
    struct jini_session_begin second;
    struct jini_credential list[4];
    struct jini_error error;
    struct jini_admit admit;
    size_t count;
    CHECK_OK(begin_session(jini, &user, now_ms() + 1000, &first));
    CHECK_OK(begin_session(jini, &user, 0, &second));
    CHECK_UINT(second.session.expires_ms, >, now_ms() + UINT64_C(1209000000));
    CHECK_OK(admit_by(jini, first.text, &admit));
    CHECK_UINT(admit.job.user_id, ==, alice);
    pass_ms(1000);
    CHECK_STATUS(admit_by(jini, first.text, &admit), JINI_E_EXPIRED);
    CHECK_OK(check(jini, second.text));
    CHECK_OK(revoke_one(jini, second.session.id));
    CHECK_STATUS(check(jini, second.text), JINI_E_DENIED);
    CHECK_STATUS(revoke_one(jini, second.session.id), JINI_E_NOT_FOUND);
    CHECK_OK(begin_session(jini, &user, 0, &second));
    struct jini_key_add key;
    add_key(jini, alice, "", &key);
    set_user(jini, alice, JINI_USER_FIELD_REVOKE, 0);
    CHECK_STATUS(check(jini, second.text), JINI_E_DENIED);
    CHECK_STATUS(admit_by(jini, second.text, &admit), JINI_E_DENIED);
    CHECK_OK(check(jini, key.text));
    CHECK_OK(jini_credential_list(jini, alice, JINI_SESSION, 0, list, 4, &count, &error));
    CHECK_UINT(count, ==, 0);
    CHECK_STATUS(begin_session(jini, &user, 0, &second), JINI_E_CONFLICT);
    CHECK_TEXT(second.text, "");
    user = user_of_id(jini, alice);
    CHECK_OK(begin_session(jini, &user, 0, &second));
    CHECK_OK(check(jini, second.text));
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_disabled_user_is_admitted_by_nothing,
     "Keys and sessions of a disabled user are refused as such, come back with the user, and no "
     "session begins meanwhile.")
{
    struct jini *jini = fixture_open();
    uint64_t alice = fixture_user(jini, "alice", "Premium");
    struct jini_user user = user_of_id(jini, alice);
    struct jini_session_begin session;
    struct jini_session_begin refused;
    struct jini_key_add key;
    struct jini_admit admit;
    add_key(jini, alice, "", &key);
    CHECK_OK(begin_session(jini, &user, 0, &session));
    set_user(jini, alice, JINI_USER_FIELD_ACTIVE, 0);
    CHECK_STATUS(check(jini, key.text), JINI_E_INACTIVE);
    CHECK_STATUS(check(jini, session.text), JINI_E_INACTIVE);
    CHECK_STATUS(admit_by(jini, key.text, &admit), JINI_E_INACTIVE);
    CHECK_STATUS(begin_session(jini, &user, 0, &refused), JINI_E_INACTIVE);
    set_user(jini, alice, JINI_USER_FIELD_ACTIVE, JINI_USER_ACTIVE);
    CHECK_OK(check(jini, session.text));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Between the look and the transaction ---- */

/* A write that holds the writer until it is let go, and then revokes. */
struct holding {
    _Atomic bool runs;
    _Atomic bool let_go;
    struct jini_credential_revoke revoke;
};

static int revoke_when_let_go(struct jini_txn *txn, void *argument)
{
    struct holding *holding = argument;
    atomic_store(&holding->runs, true);
    while (!atomic_load(&holding->let_go))
        usleep(1000);
    return jini_txn_credential_revoke(txn, &holding->revoke);
}

static void *run_write(void *argument)
{
    struct jini_write *write = argument;
    CHECK_OK(jini_write(write->request.data, write, NULL));
    return NULL;
}

static _Atomic int admitted; /* its status, once it came back */

static void on_admitted(struct jini_request *request)
{
    atomic_store(&admitted, request->status ? request->status : 1);
}

TEST(what_is_revoked_before_the_commit_admits_nothing,
     "A key that is revoked after an admission has looked at it, and before its transaction, is "
     "refused by that, which gives back what it charged of the user and of the key.")
{
    struct jini *jini = fixture_open();
    uint64_t alice = fixture_user(jini, "alice", "Premium");
    static struct holding holding;
    struct jini_key_add add;
    struct jini_write write;
    struct jini_admit admit;
    struct jini_admit next;
    pthread_t thread;
    add_key(jini, alice, "10/minute", &add);
    jini_request_init(&holding.revoke);
    holding.revoke.id = add.key.id;
    jini_request_init(&write);
    write.function = revoke_when_let_go;
    write.argument = &holding;
    write.request.data = jini;
    CHECK_INT(pthread_create(&thread, NULL, run_write, &write), ==, 0);
    while (!atomic_load(&holding.runs))
        usleep(1000);
    prepare(&admit, add.text);
    CHECK_OK(jini_admit(jini, &admit, on_admitted)); /* it has looked, and is under way */
    atomic_store(&holding.let_go, true);
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
    while (atomic_load(&admitted) == 0)
        usleep(1000);
    CHECK_STATUS(atomic_load(&admitted), JINI_E_DENIED);
    CHECK_UINT(admit.key_answer.entries[0].remaining, ==, 10);
    prepare(&next, NULL);
    next.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = alice};
    CHECK_OK(jini_admit(jini, &next, NULL));
    CHECK_UINT(next.answer.entries[0].remaining, ==, 59);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_repeated_request_is_answered_for_a_credential_in_use_alone,
     "A request id comes with its job by another session of the user too, and charges no key; by a "
     "key that was revoked it does not.")
{
    struct jini *jini = fixture_open();
    uint64_t alice = fixture_user(jini, "alice", "Premium");
    struct jini_user user = user_of_id(jini, alice);
    struct jini_session_begin session;
    struct jini_key_add key;
    struct jini_admit admit;
    struct jini_id request = id_next(&jini->ids);
    add_key(jini, alice, "10/minute", &key);
    CHECK_OK(begin_session(jini, &user, 0, &session));
    for (int i = 0; i < 4; i++) {
        prepare(&admit, i == 2 ? session.text : key.text);
        admit.request_id = request;
        CHECK_STATUS(jini_admit(jini, &admit, NULL), i < 3 ? 0 : JINI_E_DENIED);
        CHECK_UINT(admit.repeated, ==, i == 1 || i == 2);
        if (i < 2)
            CHECK_UINT(admit.key_answer.entries[0].remaining, ==, 9);
        if (i == 2)
            CHECK_OK(revoke_one(jini, key.key.id));
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_damaged_credential_is_named_and_lets_nobody_in,
     "A record that cannot be read is JINI_E_CORRUPT to who shows the text, and found by verify.")
{
    static struct found found;
    struct jini *jini = fixture_open();
    struct jini_key_add add;
    struct jini_admit admit;
    struct tuple key;
    add_key(jini, fixture_user(jini, "alice", "Premium"), "", &add);
    tuple_begin(&key);
    tuple_add_text(&key, slice_of_text("cred"));
    tuple_add_uint(&key, add.key.id);
    plant_row(jini, STORE_SPACE_USER_KEYS, &key, "rot", 3);
    CHECK_STATUS(check(jini, add.text), JINI_E_CORRUPT);
    CHECK_STATUS(admit_by(jini, add.text, &admit), JINI_E_CORRUPT);
    found_run(jini, "credential_damaged", 0, &found);
    CHECK_UINT(found.count, ==, 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
