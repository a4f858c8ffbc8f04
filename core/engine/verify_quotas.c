/* Quotas against the jobs that run: what is reserved in a counter is what these have reserved. */
#include "engine/verify_private.h"

#include "engine/jobs.h"
#include "generations/check.h"

#include <arpa/inet.h>
#include <stdio.h>

/* The counters of a subject, and what its running jobs reserved in each. */
struct counted {
    struct quota_subject subject;
    struct generations_subject runner;
    uint32_t count;
    struct quota_counter counters[QUOTA_COUNTERS_MAX];
    uint64_t reserved[QUOTA_COUNTERS_MAX];
};

static const char *owner_text(const struct quota_subject *subject, char text[64])
{
    char address[INET6_ADDRSTRLEN];
    if (subject->user_id)
        snprintf(text, 64, "user %llu", (unsigned long long)subject->user_id);
    else
        snprintf(text, 64, "address %s",
                 inet_ntop(AF_INET6, subject->address, address, sizeof(address)));
    return text;
}

/* A job counts in the window in which it reserved; with the window that went too. */
static void add_reserved(struct counted *counted, const struct reservation *reservation)
{
    for (uint32_t i = 0; i < reservation->quota_count; i++) {
        const struct quota_receipt *receipt = &reservation->quotas[i];
        for (uint32_t k = 0; k < counted->count; k++) {
            const struct quota_counter *counter = &counted->counters[k];
            if (counter->identity == receipt->identity && counter->start_ns == receipt->start_ns)
                counted->reserved[k] += receipt->cost;
        }
    }
}

static int sum_reserved(struct store_txn *txn, struct counted *counted)
{
    struct generations_running running;
    int status = generations_running_get(txn, &counted->runner, 0, &running, NULL);
    for (uint32_t i = 0; status == 0 && i < running.count; i++) {
        uint8_t bytes[GENERATIONS_RESERVATION_MAX];
        struct buffer buffer = buffer_of(bytes, sizeof(bytes));
        struct reservation reservation;
        status = generations_check_reservation(txn, &running.jobs[i].id, &buffer);
        if (status == 0 && reservation_decode(buffer_slice(&buffer), &reservation) == 0)
            add_reserved(counted, &reservation);
    }
    return status;
}

/* What is reserved is what the running jobs will give back: more would never come back. */
static int check_reserved(struct verifying *v, struct store_txn *txn, struct counted *counted)
{
    const struct verify_place place = {
        .kind = "quota_miscounted", .field = "reserved", .user_id = counted->subject.user_id};
    char owner[64];
    int status = sum_reserved(txn, counted);
    for (uint32_t i = 0; status == 0 && i < counted->count; i++) {
        const struct quota_counter *counter = &counted->counters[i];
        if (counter->reserved != counted->reserved[i])
            verify_problem(v, &place,
                           "reserved: the quota of %s whose window began at %llu has %llu units "
                           "reserved; the jobs that run reserved %llu",
                           owner_text(&counted->subject, owner),
                           (unsigned long long)(counter->start_ns / NS_PER_MS),
                           (unsigned long long)counter->reserved,
                           (unsigned long long)counted->reserved[i]);
    }
    return status_is_damage(status) ? 0 : status;
}

int verify_quotas(struct verifying *v, struct store_txn *txn, const struct quota_subject *subject)
{
    struct counted counted = {.subject = *subject};
    char owner[64];
    counted.runner = (struct generations_subject){subject->user_id, quota_address(subject)};
    int status = quota_list(txn, subject, counted.counters, &counted.count);
    if (status_is_damage(status)) {
        const struct verify_place place = {
            .kind = "quota_damaged", .field = "counters", .user_id = subject->user_id};
        verify_problem(v, &place, "counters: the row of quotas of %s cannot be read (%s)",
                       owner_text(subject, owner), jini_status_name(status));
    }
    if (status == 0)
        status = check_reserved(v, txn, &counted);
    return status_is_damage(status) || status == JINI_E_NOT_FOUND ? 0 : status;
}
