/* Records are read as they were written, and what is no record is refused. */
#include "harness.h"

#include "ledger/records.h"

static const struct jini_id id = {{1, 2, 3}};

/* By its form: 1 with user data, 2 with amounts that need more than 64 bits. */
static struct jini_account account_of(unsigned form)
{
    struct jini_account account = {.id = id,
                                   .ledger = 7,
                                   .code = 8,
                                   .flags = JINI_ACCOUNT_HISTORY,
                                   .timestamp = 9,
                                   .balance = {.debits_pending = {1, 0},
                                               .debits_posted = {UINT64_MAX, 0},
                                               .credits_pending = {3, 0},
                                               .credits_posted = {4, form & 2 ? 5 : 0}}};
    if (form & 1)
        account.user_data_32 = 6;
    return account;
}

TEST(an_account_is_read_as_it_was_written,
     "With user data and without, with narrow amounts and wide ones, and any one of them.")
{
    for (unsigned form = 0; form < 4; form++) {
        struct jini_account account = account_of(form);
        struct chain_end ends[2] = {{10, 127}, {11, 0}};
        struct jini_account read;
        struct chain_end read_ends[2];
        uint8_t bytes[RECORD_ACCOUNT_BYTES_MAX];
        size_t length = record_write_account(&account, ends, bytes);
        CHECK_UINT(length, ==, 68 + (form & 1 ? 28 : 0) + (form & 2 ? 32 : 0));
        CHECK_OK(record_read_account(slice_of(bytes, length), &id, &read, read_ends));
        CHECK(memcmp(&read, &account, sizeof(read)) == 0);
        for (int side = 0; side < 2; side++) {
            CHECK_UINT(read_ends[side].last_ns, ==, ends[side].last_ns);
            CHECK_UINT(read_ends[side].since_mark, ==, ends[side].since_mark);
        }
    }
    struct jini_balance wide = {0};
    struct jini_amount *amounts[] = {&wide.debits_pending, &wide.debits_posted,
                                     &wide.credits_pending, &wide.credits_posted};
    for (int i = 0; i < 4; i++) {
        struct jini_account account = {.id = id, .user_data_64 = i == 0, .ledger = 1, .code = 1};
        struct chain_end ends[2] = {{0}};
        struct jini_account read;
        uint8_t bytes[RECORD_ACCOUNT_BYTES_MAX];
        amounts[i]->high = 1;
        account.balance = wide;
        size_t length = record_write_account(&account, ends, bytes);
        CHECK_OK(record_read_account(slice_of(bytes, length), &id, &read, ends));
        CHECK(memcmp(&read, &account, sizeof(read)) == 0);
        amounts[i]->high = 0;
    }
}

TEST(what_is_no_account_is_refused,
     "A length that is not that of the form, a form that is unknown, and a later version.")
{
    for (unsigned form = 0; form < 4; form++) {
        struct jini_account account = account_of(form);
        struct chain_end ends[2] = {{0}};
        struct jini_account read;
        uint8_t bytes[RECORD_ACCOUNT_BYTES_MAX + 1] = {0};
        size_t length = record_write_account(&account, ends, bytes);
        for (size_t other = 0; other <= sizeof(bytes); other++) {
            if (other != length)
                CHECK_STATUS(record_read_account(slice_of(bytes, other), &id, &read, ends),
                             JINI_E_CORRUPT);
        }
        bytes[1] |= 4;
        CHECK_STATUS(record_read_account(slice_of(bytes, length), &id, &read, ends),
                     JINI_E_CORRUPT);
        bytes[1] = (uint8_t)form;
        bytes[0]++;
        CHECK_STATUS(record_read_account(slice_of(bytes, length), &id, &read, ends), JINI_E_FORMAT);
    }
}
