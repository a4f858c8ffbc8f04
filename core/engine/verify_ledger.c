/* The ledger, which checks itself; here its findings become those of a run. */
#include "engine/verify_private.h"

#include "ledger/check.h"

static void on_found(void *context, const struct ledger_finding *finding)
{
    struct verify_place place = {.kind = finding->kind, .field = finding->field};
    verify_problem(context, &place, "%s", finding->message);
}

static bool on_events(void *context, uint64_t events)
{
    struct verifying *v = context;
    if (events != UINT64_MAX)
        verify_progress(v, events);
    return !verify_cancelled(v);
}

int verify_ledger(struct verifying *v)
{
    struct ledger_check check = {
        .store = v->store, .found = on_found, .goes_on = on_events, .context = v};
    v->phase = "ledger";
    v->phase_rows = 0;
    return ledger_check(&check, &v->request->request.error);
}
