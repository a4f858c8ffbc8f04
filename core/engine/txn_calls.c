/* Running calls alone and inside of transactions, as txn.h says; and what follows a commit. */
#include "engine/txn.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stddef.h>

/* ---- Calls that write ---- */

int txn_submit(struct jini *jini, struct jini_request *request, const struct txn_form *form,
               jini_callback *callback)
{
    int status = request_begin(jini, request, form->size, form->kind, callback);
    if (status)
        return status;
    if (form->check)
        status = form->check(request, TXN_ALONE);
    uint32_t bytes = form->bytes;
    if (status == 0 && form->more_bytes)
        bytes += form->more_bytes(request);
    if (status == 0)
        status = request_write(request, form->op, form->class, bytes, NULL);
    if (status)
        return request_refuse(request, status);
    return callback ? 0 : request_wait(request);
}

/* What fails is undone by itself, and what it wanted after the commit with it. */
static int run_inside(struct jini_txn *txn, struct jini_request *request, txn_op_fn *op)
{
    struct txn_effect *before = *txn->effects;
    int status = store_overlay_begin(txn->store);
    if (status)
        return status;
    status = op(txn, request);
    if (status == 0)
        status = store_overlay_keep(txn->store);
    else
        store_overlay_discard(txn->store);
    if (status)
        txn_effects_drop(txn->effects, before);
    return status;
}

int txn_call(struct jini_txn *txn, struct jini_request *request, const struct txn_form *form)
{
    int status = request_check(request, form->size);
    if (status)
        return status;
    error_clear(&request->error);
    if (!txn->effects)
        status = error_set(&request->error, JINI_E_READ_ONLY, "txn",
                           "a snapshot of jini_read() is not written to; call it in a function of "
                           "jini_write()");
    if (status == 0 && form->check)
        status = form->check(request, TXN_INSIDE);
    if (status == 0)
        status = run_inside(txn, request, form->op);
    request->status = status;
    return txn_answer(txn, status, &request->error, request_kind_name(form->kind), "the call");
}

/* ---- Calls that read ---- */

int txn_snapshot(struct jini *jini, struct jini_txn *out, struct jini_error *error)
{
    *out = (struct jini_txn){.jini = jini};
    return snapshot_begin(jini, &out->store, error);
}

void txn_snapshot_end(struct jini_txn *txn)
{
    store_read_end(txn->store);
}

struct jini_error *txn_error(const struct jini_txn *txn, struct jini_error *error)
{
    struct jini_error *said = error ? error : txn->error;
    error_clear(said);
    return said;
}

int txn_answer(struct jini_txn *txn, int status, struct jini_error *said, const char *field,
               const char *what)
{
    if (status == 0)
        return 0;
    error_complete(said, status, field, what);
    if (txn->error && said && said != txn->error)
        *txn->error = *said;
    return status;
}

/* ---- After the commit ---- */

struct txn_effect {
    struct txn_effect *next; /* the one before it */
    txn_effect_fn *run;
    max_align_t data[];
};

int txn_after_commit(struct jini_txn *txn, txn_effect_fn *run, const void *data, size_t length)
{
    struct txn_effect *effect = base_malloc(sizeof(*effect) + length);
    if (!effect)
        return JINI_E_NO_MEMORY;
    effect->next = *txn->effects;
    effect->run = run;
    memcpy(effect->data, data, length);
    *txn->effects = effect;
    return 0;
}

void txn_effects_drop(struct txn_effect **effects, const struct txn_effect *until)
{
    while (*effects != until) {
        struct txn_effect *effect = *effects;
        *effects = effect->next;
        base_free(effect);
    }
}

void txn_effects_run(struct jini *jini, struct txn_effect **effects)
{
    struct txn_effect *in_order = NULL;
    while (*effects) {
        struct txn_effect *effect = *effects;
        *effects = effect->next;
        effect->next = in_order;
        in_order = effect;
    }
    for (struct txn_effect *effect = in_order; effect; effect = effect->next)
        effect->run(jini, effect->data);
    txn_effects_drop(&in_order, NULL);
}
