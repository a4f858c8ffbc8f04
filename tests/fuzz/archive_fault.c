/*
 * The SPEC of a fault archive: any text is refused with a reason, or gives a plan within its
 * bounds.
 */
#include "archive/fault.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct fault_plan plan;
    struct jini_error error;
    uint64_t drawn;
    int status = fault_plan_parse(slice_of(data, length), &plan, &error);
    FUZZ_CHECK(status == error.code);
    if (status != 0) {
        FUZZ_CHECK(status == JINI_E_INVALID && error.message[0] && error.field[0]);
        return 0;
    }
    FUZZ_CHECK(plan.status < 0 && plan.rate <= 1000 && plan.delay_ms <= 60000);
    FUZZ_CHECK(plan.kinds && !(plan.kinds & 1) && plan.kinds >> FAULT_KINDS == 0);
    FUZZ_CHECK(plan.operations && plan.operations >> ARCHIVE_OPERATIONS == 0);
    FUZZ_CHECK(plan.script_count <= FAULT_SCRIPT_MAX);
    for (uint64_t number = 0; number < 300; number++) {
        for (int operation = 0; operation < ARCHIVE_OPERATIONS; operation++) {
            enum fault_kind kind =
                fault_plan_decide(&plan, (enum archive_operation)operation, number, &drawn);
            FUZZ_CHECK(kind >= FAULT_PASS && kind < FAULT_KINDS);
            FUZZ_CHECK(kind == FAULT_PASS || number >= plan.skip);
            FUZZ_CHECK(operation == ARCHIVE_GET || (kind != FAULT_SHORT && kind != FAULT_FLIP));
        }
    }
    return 0;
}
