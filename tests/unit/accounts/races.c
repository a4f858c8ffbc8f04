/* Two at once: in one commit, and in two processes. */
#include "accounts_fixture.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

/* Ops that are handed in together and so run in one commit, or in few. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t done;
    unsigned open;
};

static struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};

static void on_done(struct store_write *write)
{
    (void)write;
    pthread_mutex_lock(&gate.lock);
    gate.open--;
    pthread_cond_signal(&gate.done);
    pthread_mutex_unlock(&gate.lock);
}

static void submit(struct world *world, struct store_write *write, store_op_fn *op, void *argument)
{
    *write = (struct store_write){.op = op, .argument = argument, .done = on_done};
    pthread_mutex_lock(&gate.lock);
    gate.open++;
    pthread_mutex_unlock(&gate.lock);
    CHECK_OK(store_submit(world->store, write));
}

static void wait_all(void)
{
    pthread_mutex_lock(&gate.lock);
    while (gate.open > 0)
        pthread_cond_wait(&gate.done, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

/* Keeps the writer busy for long enough that what is submitted meanwhile waits together. */
static int op_pause(struct store_txn *txn, void *argument)
{
    (void)txn;
    (void)argument;
    usleep(3000);
    return 0;
}

enum { RIVALS = 16 };

/* A create with all that it needs, to be submitted. */
struct rival {
    struct world world; /* for the error alone */
    struct store_write write;
    struct jini_user user;
    struct accounts_draw draw;
    struct world_create op;
};

static void prepare(struct world *world, struct rival *rival, const char *username,
                    const char *email)
{
    memset(rival, 0, sizeof(*rival));
    rival->user = world_user(username, email);
    accounts_ids_draw(&world->ids, &rival->draw);
    rival->op = (struct world_create){.world = &rival->world,
                                      .create = {.user = &rival->user,
                                                 .derive_username = username[0] == '\0',
                                                 .now_ms = WORLD_NOW_MS,
                                                 .suffix_seed = 5,
                                                 .draw = &rival->draw,
                                                 .check_limits = world_check_limits}};
}

STORE_TEST(of_rivals_in_one_commit_one_wins,
           "The first op has the name, the others have the error.")
{
    static struct rival rivals[RIVALS];
    struct world world;
    struct store_write pause;
    world_open(&world, driver);
    submit(&world, &pause, op_pause, NULL);
    for (int i = 0; i < RIVALS; i++) {
        char email[32];
        snprintf(email, sizeof(email), "a%d@example.org", i / 2);
        prepare(&world, &rivals[i], i % 4 == 0 ? "Alice" : (i % 2 ? "alice" : "bob"), email);
        submit(&world, &rivals[i].write, world_op_create, &rivals[i].op);
    }
    wait_all();
    unsigned wins = 0;
    for (int i = 0; i < RIVALS; i++) {
        int status = rivals[i].write.status;
        accounts_ids_settle(&world.ids, &rivals[i].draw, status);
        if (status == 0) {
            wins++;
            CHECK_UINT(world_id_of(&world, rivals[i].user.username), ==, rivals[i].user.id);
            continue;
        }
        CHECK_STATUS(status, JINI_E_EXISTS);
        CHECK_TEXT(rivals[i].world.error.field, "username");
    }
    CHECK_UINT(wins, ==, 2); /* alice and bob */
    CHECK_OK(rivals[0].write.status);
    CHECK_OK(rivals[2].write.status);
    world_close(&world);
}

STORE_TEST(
    of_a_name_and_an_address_in_one_commit_one_wins,
    "What one op takes as the address the next has not as the name, and the other way round.")
{
    static struct rival rivals[4];
    struct world world;
    struct store_write pause;
    world_open(&world, driver);
    submit(&world, &pause, op_pause, NULL);
    prepare(&world, &rivals[0], "alice", "a@example.org");
    prepare(&world, &rivals[1], "A@example.org", "");
    prepare(&world, &rivals[2], "b@example.org", "");
    prepare(&world, &rivals[3], "bob", "B@example.org");
    for (int i = 0; i < 4; i++)
        submit(&world, &rivals[i].write, world_op_create, &rivals[i].op);
    wait_all();
    for (int i = 0; i < 4; i++)
        accounts_ids_settle(&world.ids, &rivals[i].draw, rivals[i].write.status);
    CHECK_OK(rivals[0].write.status);
    CHECK_STATUS(rivals[1].write.status, JINI_E_EXISTS);
    CHECK_TEXT(rivals[1].world.error.field, "username");
    CHECK_OK(rivals[2].write.status);
    CHECK_STATUS(rivals[3].write.status, JINI_E_EXISTS);
    CHECK_TEXT(rivals[3].world.error.field, "email");
    world_close(&world);
}

STORE_TEST(derived_names_in_one_commit_differ,
           "Each of the same local part gets a name of its own.")
{
    static struct rival rivals[ACCOUNTS_CANDIDATES];
    struct world world;
    struct store_write pause;
    world_open(&world, driver);
    submit(&world, &pause, op_pause, NULL);
    for (int i = 0; i < ACCOUNTS_CANDIDATES; i++) {
        char email[32];
        snprintf(email, sizeof(email), "Alice@x%d.org", i);
        prepare(&world, &rivals[i], "", email);
        submit(&world, &rivals[i].write, world_op_create, &rivals[i].op);
    }
    wait_all();
    for (int i = 0; i < ACCOUNTS_CANDIDATES; i++) {
        CHECK_OK(rivals[i].write.status);
        accounts_ids_settle(&world.ids, &rivals[i].draw, 0);
        CHECK_UINT(world_id_of(&world, rivals[i].user.username), ==, rivals[i].user.id);
        CHECK_UINT(strlen(rivals[i].user.username), ==, strlen("alice") + (size_t)i);
    }
    world_close(&world);
}

/* A name moves on in the commit in which it becomes free. */
STORE_TEST(a_name_passes_on_in_one_commit, "What one op lets go, the next op may take.")
{
    struct world world;
    struct store_write pause;
    struct store_write rename;
    static struct rival rival;
    world_open(&world, driver);
    uint64_t id = world_add(&world, "alice", "");
    struct jini_user user = world_user("carol", "");
    user.id = id;
    struct world_update update = {.world = &world,
                                  .update = {.user = &user,
                                             .fields = JINI_USER_FIELD_USERNAME,
                                             .check_limits = world_check_limits}};
    prepare(&world, &rival, "Alice", "");
    submit(&world, &pause, op_pause, NULL);
    submit(&world, &rename, world_op_update, &update);
    submit(&world, &rival.write, world_op_create, &rival.op);
    wait_all();
    CHECK_OK(rename.status);
    CHECK_OK(rival.write.status);
    CHECK_UINT(world_id_of(&world, "alice"), ==, rival.user.id);
    CHECK_UINT(world_id_of(&world, "carol"), ==, id);
    world_close(&world);
}

enum { PROCESSES = 3, NAMES = 60 };

/* Creates every name and reports in a file which of them it got, and their ids. */
static void create_names(int number)
{
    struct world world;
    world_open(&world, STORE_DRIVER_LMDB);
    FILE *report = fopen(harness_path("report%d", number), "w");
    CHECK(report);
    for (int i = 0; i < NAMES; i++) {
        char name[32];
        char email[32];
        snprintf(name, sizeof(name), "%s%d", number % 2 ? "User" : "uSER", i);
        snprintf(email, sizeof(email), "u%d@p%d.org", i, number);
        struct jini_user user = world_user(name, email);
        int status = world_create(&world, &user, NULL);
        if (status == 0)
            fprintf(report, "%d %" PRIu64 "\n", i, user.id);
        else
            CHECK_STATUS(status, JINI_E_EXISTS);
    }
    CHECK_INT(fclose(report), ==, 0);
    world_close(&world);
}

TEST(of_rivals_in_processes_one_wins,
     "Of several processes that create one name exactly one succeeds.")
{
    int pids[PROCESSES];
    for (int p = 0; p < PROCESSES; p++) {
        pids[p] = fork();
        CHECK_INT(pids[p], >=, 0);
        if (pids[p] == 0) {
            create_names(p);
            _exit(0);
        }
    }
    for (int p = 0; p < PROCESSES; p++)
        harness_wait_exit(pids[p], 0);
    uint64_t owner[NAMES] = {0};
    struct world world;
    world_open(&world, STORE_DRIVER_LMDB);
    for (int p = 0; p < PROCESSES; p++) {
        FILE *report = fopen(harness_path("report%d", p), "r");
        int i;
        uint64_t id;
        CHECK(report);
        while (fscanf(report, "%d %" SCNu64, &i, &id) == 2) {
            CHECK_INT(i, <, NAMES);
            CHECK_UINT(owner[i], ==, 0);
            owner[i] = id;
        }
        fclose(report);
    }
    for (int i = 0; i < NAMES; i++) {
        char name[32];
        snprintf(name, sizeof(name), "user%d", i);
        CHECK_UINT(owner[i], !=, 0);
        CHECK_UINT(world_id_of(&world, name), ==, owner[i]);
        for (int other = 0; other < i; other++)
            CHECK_UINT(owner[other], !=, owner[i]);
    }
    struct jini_user page[NAMES + 1];
    size_t count;
    CHECK_OK(world_list(&world, 0, page, NAMES + 1, &count));
    CHECK_UINT(count, ==, NAMES);
    world_close(&world);
}

/* The child gives users the tier, the parent removes it: never is there a user without a tier. */
TEST(a_tier_is_not_removed_under_a_user,
     "Removal and assignment in two processes never both succeed.")
{
    enum { ROUNDS = 40 };
    int pid = fork();
    CHECK_INT(pid, >=, 0);
    struct world world;
    world_open(&world, STORE_DRIVER_LMDB);
    if (pid == 0) {
        struct jini_user user = world_user("child", "");
        CHECK_OK(world_create(&world, &user, NULL));
        for (int i = 0; i < ROUNDS; i++) {
            snprintf(user.tier, sizeof(user.tier), "%s", i % 2 ? "Free" : "Gold");
            int status = world_update(&world, &user, JINI_USER_FIELD_TIER);
            CHECK(status == 0 || status == JINI_E_NOT_FOUND);
        }
        world_close(&world);
        _exit(0);
    }
    struct jini_tier tier = {.name = "Gold"};
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_OK(world_tier_set(&world, &tier));
        int status = world_tier_remove(&world, "Gold");
        CHECK(status == 0 || status == JINI_E_IN_USE);
        struct store_txn *txn;
        struct jini_user user;
        CHECK_OK(store_read_begin(world.store, &txn));
        status = accounts_user_find(txn, "child", &user);
        CHECK(status == 0 || status == JINI_E_NOT_FOUND);
        if (status == 0)
            CHECK_OK(accounts_tier_get(txn, user.tier, &tier));
        store_read_end(txn);
        tier = (struct jini_tier){.name = "Gold"};
    }
    harness_wait_exit(pid, 0);
    world_close(&world);
}
