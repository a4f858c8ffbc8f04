/*
 * jini import payments: payments that were made elsewhere.
 *
 *  1. The whole file is read and checked before anything is written. One row that is wrong, and
 *     nothing is.
 *  2. Rows are written some at a time, each such part whole or not at all. A row whose payment is
 *     there already changes nothing, so whoever was interrupted runs it again.
 *  3. In the end every payment of the file is read back, and the sum of the file is that of the
 *     payments, by what has become of them.
 */
#include "import_rows.h"
#include "layout.h"
#include "money.h"
#include "pay_args.h"
#include "progress.h"
#include "verb.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { PART = 64, PART_BYTES = PART * 4096, STATES = JINI_PAYMENT_DISPUTED + 1 };

/* ---- Checking ---- */

/* What the file says against a payment that is there already. */
static void compare(struct import_rows *rows, const struct import_row *row,
                    const struct jini_payment *old)
{
    if (old->user_id != row->user_id)
        import_rows_tell(rows, row->line, "user", "the payment is there, of another user");
    else if (old->amount != row->amount || strcmp(old->currency, rows->currency.code) != 0)
        import_rows_tell(rows, row->line, "amount", "the payment is there, with another amount");
    else if (rows->price && strcmp(old->price, rows->price) != 0)
        import_rows_tell(rows, row->line, "id", "the payment is there, with another price");
}

static int check_rows(struct command *command, struct import_rows *rows, uint64_t *known)
{
    uint64_t now_ms = (uint64_t)time(NULL) * 1000;
    struct jini_payment old;
    *known = 0;
    for (size_t i = 0; i < rows->count && !command_is_over(); i++) {
        const struct import_row *row = &rows->rows[i];
        int status = jini_payment_get(command->jini, &row->id, &old, &command->error);
        if (status && status != JINI_E_NOT_FOUND)
            return status;
        if (row->at_ms > now_ms)
            import_rows_tell(rows, row->line, "date", "it lies in the future");
        if (status == 0)
            compare(rows, row, &old);
        *known += status == 0;
    }
    return 0;
}

/* ---- Writing ---- */

struct part {
    const struct import_rows *rows;
    size_t first;
    size_t count;
    size_t at; /* the row that failed */
};

static int import_row(struct jini_txn *txn, const struct import_rows *rows,
                      const struct import_row *row)
{
    struct jini_payment_intend intend;
    struct jini_payment_settle settle;
    jini_request_init(&intend);
    jini_request_init(&settle);
    intend.id = settle.id = row->id;
    intend.at_ms = settle.at_ms = row->at_ms;
    intend.user_id = row->user_id;
    intend.amount = row->amount;
    intend.flags = JINI_PAYMENT_IMPORTED;
    memcpy(intend.currency, rows->currency.code, sizeof(intend.currency));
    if (rows->price)
        snprintf(intend.price, sizeof(intend.price), "%s", rows->price);
    int status = jini_txn_payment_intend(txn, &intend);
    if (status || intend.payment.received_ms != 0)
        return status;
    return jini_txn_payment_settle(txn, &settle);
}

static int write_part(struct jini_txn *txn, void *argument)
{
    struct part *part = argument;
    int status = 0;
    for (size_t i = 0; status == 0 && i < part->count; i++) {
        part->at = part->first + i;
        status = import_row(txn, part->rows, &part->rows->rows[part->at]);
    }
    return status;
}

static int write_rows(struct command *command, const struct import_rows *rows)
{
    int status = 0;
    for (size_t first = 0; status == 0 && first < rows->count && !command_is_over();
         first += PART) {
        struct part part = {.rows = rows, .first = first};
        struct jini_write write;
        part.count = rows->count - first < PART ? rows->count - first : PART;
        jini_request_init(&write);
        write.function = write_part;
        write.argument = &part;
        write.bytes = PART_BYTES;
        status =
            command_wait(command, &write.request, jini_write(command->jini, &write, wait_done));
        if (status) {
            const struct jini_error error = command->error;
            return command_fail(command, status, error.field,
                                "line %llu: %.300s; the rows before line %llu are there, run it "
                                "again for the others",
                                (unsigned long long)rows->rows[part.at].line, error.message,
                                (unsigned long long)rows->rows[first].line);
        }
        progress_set(first + part.count, rows->count, 0);
    }
    return status;
}

/* ---- Reconciling ---- */

struct sums {
    uint64_t rows[STATES];
    uint64_t amounts[STATES];
    uint64_t file;
};

static int sum_up(struct command *command, const struct import_rows *rows, struct sums *sums)
{
    struct jini_payment payment;
    memset(sums, 0, sizeof(*sums));
    for (size_t i = 0; i < rows->count; i++) {
        int status = jini_payment_get(command->jini, &rows->rows[i].id, &payment, &command->error);
        if (status)
            return status;
        sums->file += rows->rows[i].amount;
        sums->rows[payment.state]++;
        sums->amounts[payment.state] += payment.received;
    }
    return 0;
}

static json_t *object_sums(const struct import_rows *rows, const struct sums *sums, uint64_t known)
{
    char text[MONEY_TEXT_MAX];
    const char *currency = rows->currency.code;
    json_t *states = json_object();
    for (uint32_t state = JINI_PAYMENT_INTENT; state < STATES; state++) {
        if (sums->rows[state] == 0)
            continue;
        money_format((int64_t)sums->amounts[state], currency, text);
        json_object_set_new(
            states, jini_payment_state_name(state),
            json_pack("{s:o, s:s}", "payments", layout_number(sums->rows[state]), "amount", text));
    }
    money_format((int64_t)sums->file, currency, text);
    return json_pack("{s:s, s:o, s:o, s:s, s:s, s:o}", "type", "total", "rows",
                     layout_number(rows->count), "known", layout_number(known), "currency",
                     currency, "amount", text, "states", states);
}

static int reconcile(struct command *command, const struct import_rows *rows, uint64_t known)
{
    struct sums sums;
    uint64_t sum = 0;
    int status = sum_up(command, rows, &sums);
    if (status)
        return status;
    for (uint32_t state = 0; state < STATES; state++)
        sum += sums.amounts[state];
    layout_object(object_sums(rows, &sums, known));
    if (sum != sums.file)
        return command_fail(command, JINI_E_CORRUPT, "payments",
                            "the file has %llu of the smallest unit, and its payments %llu",
                            (unsigned long long)sums.file, (unsigned long long)sum);
    return 0;
}

/* ---- The verb ---- */

static int check_price(struct command *command, const struct import_rows *rows)
{
    struct jini_price price;
    if (!rows->price)
        return 0;
    int status = jini_price_get(command->jini, rows->price, 0, &price, &command->error);
    return status == JINI_E_NOT_FOUND ? command_fail(command, status, "--price",
                                                     "there is no price \"%.100s\"", rows->price)
                                      : status;
}

static int run(struct command *command, struct import_rows *rows)
{
    uint64_t known;
    int status = import_rows_read(command, command_argument(command, 0), rows);
    if (status == 0)
        status = check_rows(command, rows, &known);
    if (status)
        return status;
    if (rows->bad > 0) {
        output_info("%llu of the rows are wrong; nothing was imported",
                    (unsigned long long)rows->bad);
        command->exit_code = EXIT_PROBLEMS;
        return 0;
    }
    if (args_has(&command->args, "dry-run")) {
        output_line("%zu rows are right, and %llu of their payments are there already", rows->count,
                    (unsigned long long)known);
        output_json(json_pack("{s:s, s:o, s:o}", "type", "dry_run", "rows",
                              layout_number(rows->count), "known", layout_number(known)));
        return 0;
    }
    progress_begin("importing", "rows");
    wait_on_tick(progress_tick);
    status = write_rows(command, rows);
    wait_on_tick(NULL);
    progress_end();
    return status || command_is_over() ? status : reconcile(command, rows, known);
}

int verb_import_payments(struct command *command)
{
    struct import_rows rows = {.price = args_text(&command->args, "price")};
    int status = pay_take_currency(command, &rows.currency);
    if (status == 0)
        status = command_open(command);
    if (status == 0)
        status = check_price(command, &rows);
    if (status == 0)
        status = run(command, &rows);
    import_rows_free(&rows);
    return status;
}
