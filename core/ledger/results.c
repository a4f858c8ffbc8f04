/* The names of the results. */
#include <jini/ledger.h>

const char *jini_account_result_name(uint32_t result)
{
    switch (result) {
#define NAME(name, number, text)                                                                   \
    case number:                                                                                   \
        return text;
        JINI_ACCOUNT_RESULT_MAP(NAME)
    default:
        return "unknown";
    }
}

const char *jini_transfer_result_name(uint32_t result)
{
    switch (result) {
        JINI_TRANSFER_RESULT_MAP(NAME)
#undef NAME
    default:
        return "unknown";
    }
}
