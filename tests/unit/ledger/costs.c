/* The price list: its arithmetic, its versions, its rows. */
#include "fixture.h"

#include "ledger/costs.h"

static struct jini_cost priced(const char *model, uint64_t image, uint64_t step, uint64_t megapixel,
                               uint64_t megapixel_step)
{
    struct jini_cost cost = {.per_image = image,
                             .per_step = step,
                             .per_megapixel = megapixel,
                             .per_megapixel_step = megapixel_step};
    snprintf(cost.model, sizeof(cost.model), "%s", model);
    return cost;
}

TEST(costs_are_rounded_up_once, "The sum of a generation is rounded up, not its parts.")
{
    static const struct {
        uint64_t image, step, megapixel, megapixel_step;
        uint32_t width, height, steps, count;
        uint64_t expected;
    } cases[] = {
        {0, 0, 0, 0, 1024, 1024, 50, 4, 0},
        {1000, 0, 0, 0, 512, 512, 50, 3, 3},
        {1, 0, 0, 0, 512, 512, 50, 1, 1},
        {400, 0, 0, 0, 512, 512, 50, 5, 2},
        {0, 10, 0, 0, 512, 512, 50, 2, 1},
        {0, 0, 1000, 0, 1000, 1000, 50, 1, 1},
        {0, 0, 1000, 0, 1024, 1024, 50, 1, 2}, /* 1.048576 megapixels */
        {0, 0, 0, 100, 1000, 1000, 50, 2, 10},
        {500, 5, 1000, 20, 500, 400, 30, 1, 1}, /* 0.5 + 0.15 + 0.2 + 0.12 */
        {UINT64_C(1) << 40, UINT64_C(1) << 40, UINT64_C(1) << 40, UINT64_C(1) << 40, UINT32_MAX,
         UINT32_MAX, UINT32_MAX, 16, JINI_CREDITS_MAX},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct jini_cost cost =
            priced("", cases[i].image, cases[i].step, cases[i].megapixel, cases[i].megapixel_step);
        uint64_t credits =
            costs_of(&cost, cases[i].width, cases[i].height, cases[i].steps, cases[i].count);
        CHECK_UINT(credits, ==, cases[i].expected);
    }
}

struct setting {
    struct jini_cost cost;
    bool remove;
    struct jini_error error;
};

static int op_set(struct store_txn *txn, void *argument)
{
    struct setting *setting = argument;
    return costs_set(txn, &setting->cost, setting->remove, 5000, &setting->error);
}

static int set(struct store *store, struct jini_cost cost, bool remove)
{
    struct setting setting = {.cost = cost, .remove = remove};
    return store_write(store, op_set, &setting);
}

static uint64_t image_price(struct store *store, const char *model, uint64_t *version)
{
    struct jini_cost cost;
    struct jini_error error;
    struct store_txn *txn;
    CHECK_OK(store_read_begin(store, &txn));
    int status = costs_find(txn, model, &cost, &error);
    store_read_end(txn);
    CHECK(status == 0 || status == JINI_E_NOT_FOUND);
    *version = cost.version;
    return status == 0 ? cost.per_image : 0;
}

TEST(an_entry_holds_for_its_model, "A model is charged by its newest entry, else by that of \"\".")
{
    struct fixture_ledger ledger = ledger_open(STORE_DRIVER_MEMORY);
    struct jini_cost listed[4];
    struct jini_error error;
    struct store_txn *txn;
    uint64_t version;
    size_t count;
    CHECK_UINT(image_price(ledger.store, "sdxl", &version), ==, 0);
    CHECK_OK(set(ledger.store, priced("", 5, 0, 0, 0), false));
    CHECK_OK(set(ledger.store, priced("sdxl", 7, 0, 0, 0), false));
    CHECK_OK(set(ledger.store, priced("sdxl-turbo", 8, 0, 0, 0), false));
    CHECK_OK(set(ledger.store, priced("sdxl", 9, 0, 0, 0), false));
    CHECK_UINT(image_price(ledger.store, "sdxl", &version), ==, 9);
    CHECK_UINT(version, ==, 4);
    CHECK_UINT(image_price(ledger.store, "flux", &version), ==, 5);
    CHECK_OK(store_read_begin(ledger.store, &txn));
    CHECK_OK(costs_list(txn, NULL, listed, 4, &count, &error));
    CHECK_UINT(count, ==, 3);
    CHECK_TEXT(listed[0].model, "");
    CHECK_TEXT(listed[1].model, "sdxl");
    CHECK_UINT(listed[1].per_image, ==, 9);
    CHECK_TEXT(listed[2].model, "sdxl-turbo");
    CHECK_OK(costs_list(txn, "sdxl", listed, 4, &count, &error));
    CHECK_UINT(count, ==, 1);
    store_read_end(txn);
    CHECK_OK(set(ledger.store, priced("sdxl", 0, 0, 0, 0), true));
    CHECK_UINT(image_price(ledger.store, "sdxl", &version), ==, 5);
    CHECK_STATUS(set(ledger.store, priced("sdxl", 0, 0, 0, 0), true), JINI_E_NOT_FOUND);
    CHECK_STATUS(set(ledger.store, priced("sdxl", JINI_COST_MAX + 1, 0, 0, 0), false),
                 JINI_E_INVALID);
    ledger_close(&ledger);
}
