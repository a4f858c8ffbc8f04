/*
 * Rate limits and quotas.
 *
 * A limits text names them: "5/minute; 30/day". Periods under an hour are RATE LIMITS: counted in
 * memory that all processes of the database share, charged in a fraction of a microsecond,
 * forgotten at reboot. Periods of an hour or more are QUOTAS: durable counters, charged inside the
 * transaction of an admission (admission.h). Neither ever admits more than its amount, over all
 * threads and processes.
 *
 * Grammar, letter case and white space aside:
 *
 *     text   = limit { ("," | ";" | "|") limit }                  at most 8 limits
 *     limit  = N ("/" | "per") [M] unit ["s"] [how] ["shadow"]    shadow: counted, never refuses
 *     unit   = second | minute | hour | day | month | year
 *     how    = "sliding" | "gcra" ["burst" B]                     rate limits
 *            | "calendar" [ZONE] | "anchor" [ZONE]                quotas
 *
 * Without `how` a window begins with its first hit; a month is then 30 days and a year 360.
 *
 * What was counted holds under another amount too, and under the same period in another unit:
 * 3/day, then 5/24 hours, is one count. Another `how` counts anew.
 *
 * core/limits/README.md has the largest amounts and the resolution of each algorithm.
 */
#ifndef JINI_LIMITS_H
#define JINI_LIMITS_H

#include <jini/request.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { JINI_LIMITS_MAX = 8, JINI_SCOPE_MAX = 64 };

enum jini_subject_kind {
    JINI_SUBJECT_USER = 1,    /* `number` is the user's id, 1 or more */
    JINI_SUBJECT_API_KEY = 2, /* `number` is the key's id */
    JINI_SUBJECT_ADDRESS = 3, /* `address`: IPv6, or IPv4 as ::ffff:a.b.c.d. IPv6 counts by
                                 its /64 */
    JINI_SUBJECT_TIER = 4,    /* `number` is one that the caller gives the tier, model or
                                 whatever it counts */
    JINI_SUBJECT_MODEL = 5,
    JINI_SUBJECT_GLOBAL = 6
};

/* Who is counted. */
struct jini_subject {
    uint32_t kind; /* enum jini_subject_kind */
    uint32_t reserved;
    uint64_t number;
    uint8_t address[16];
};

/* Reads an IPv4 or IPv6 address in text form. JINI_E_INVALID. */
JINI_EXPORT int jini_subject_parse_address(const char *text, struct jini_subject *out);

enum jini_limit_flag {
    JINI_LIMIT_QUOTA = 1 << 0,  /* durable, in the store */
    JINI_LIMIT_SHADOW = 1 << 1, /* counted, never refuses */
    JINI_LIMIT_REFUSED = 1 << 2 /* had no room, or the table had none for its count; without
                                   SHADOW it is what decided */
};

enum jini_limit_unit {
    JINI_UNIT_SECOND,
    JINI_UNIT_MINUTE,
    JINI_UNIT_HOUR,
    JINI_UNIT_DAY,
    JINI_UNIT_MONTH,
    JINI_UNIT_YEAR
};

/* What one limit says. Spans count from the moment of the answer, by the clock that decided. */
struct jini_limit_entry {
    uint64_t amount;
    uint32_t multiples;
    uint16_t unit;           /* enum jini_limit_unit */
    uint16_t flags;          /* enum jini_limit_flag */
    uint64_t remaining;      /* units left, after this charge; where a refusal charged nothing, as
                                it stands */
    uint64_t reset_ms;       /* until all of the amount is there again; GCRA: the burst. Of a rate
                                limit with a fixed window at most its period, though it may end
                                1 ms later; of a quota until the end of its window, which stays
                                where it was when the clock is set back: that may be longer than a
                                period */
    uint64_t retry_after_ms; /* until the same cost fits if nobody else comes, after a clock was set
                                back too; 0: it fitted; UINT64_MAX: never */
    uint64_t window;         /* names the window that was charged */
    uint64_t receipt[4];     /* private: for jini_limit_refund(); all zero when nothing was
                                charged */
};

struct jini_limit_answer {
    uint32_t count;          /* of entries */
    uint32_t decided;        /* the entry that refused; JINI_LIMITS_MAX: none did */
    uint64_t retry_after_ms; /* of the entry that refused; 0 when admitted */
    uint64_t cost;           /* what was charged */
    uint32_t parallel;       /* jobs of the subject that run now; of a peek at its own limits, and
                                of an admission, which counts its own job; else 0 */
    uint32_t parallel_max;   /* how many may; 0: any number */
    struct jini_limit_entry entries[JINI_LIMITS_MAX];
};

enum jini_check_flag {
    /*
     * Charge nothing. Of a subject's own limits quotas and parallel jobs are answered too, and what
     * refuses is what would refuse jini_admit() now: jobs whose lease is over are in nobody's way.
     */
    JINI_CHECK_PEEK = 1 << 0,
    /*
     * As slowapi and limits 2.8 count: in order; the first that refuses ends it, is charged all the
     * same, and what was charged before it stays. Without it limits are charged all or none, and a
     * refusal charges nothing.
     */
    JINI_CHECK_IN_ORDER = 1 << 1
};

/*
 * A check of rate limits. With `limits` NULL they are the subject's own: a user's by tier and
 * override, an address's by the tier anonymous.tier. A text of the caller's counts any subject
 * apart in each `scope`.
 */
struct jini_limit_check {
    struct jini_subject subject;
    const char *limits; /* NULL, or a limits text with rate limits only; the text is the same
                           each time */
    const char *scope;  /* NULL, or up to 63 bytes, with a text only: counts apart; "api/login" */
    uint32_t cost;      /* 1 or more */
    uint32_t flags;     /* enum jini_check_flag */
};

/*
 * Charges rate limits, at once, on the calling thread; nothing is durable and nothing blocks for
 * longer than limits.claim_wait_ms. `answer` is filled when a limit admitted or refused, and when
 * there was no place to count it (JINI_E_BUSY); else it has no entries. Limits behind the one that
 * refused are looked at, and not charged. A refusal's `error` says it in words.
 *
 * JINI_E_LIMITED    refused; come back after answer->retry_after_ms. A peek: "parallel" too, which
 *                   no entry decides
 * JINI_E_NOT_FOUND  no such user
 * JINI_E_INACTIVE   the user is disabled
 * JINI_E_BUSY       the table has no place for one more subject ("limits.slots",
 *                   "limits.slots_anonymous") or a stopped process holds the place
 *                   ("limits.claim_wait_ms"), and limits.when_full is closed; come back after
 *                   answer->retry_after_ms. A peek: as of jini_admit() ("quota"). Or the store
 *                   cannot be read now ("store.readers_max" and others); try again
 * JINI_E_FULL       the disk has no room for a table ("limits.shm"), and limits.when_full is
 *                   closed; the table comes by itself once there is room
 * JINI_E_INVALID    a member breaks a rule, as a flag that is unknown does
 * JINI_E_CORRUPT    the record ("user") or the tier ("tier") of the user cannot be read. Of an
 *                   address: the tier that anonymous.tier of this process names cannot be read, or
 *                   was removed by a process where it names another ("anonymous.tier")
 * JINI_E_FORMAT     the same record is of a newer version
 * JINI_E_IO, JINI_E_NO_MEMORY
 * JINI_E_CLOSED, JINI_E_FORKED, JINI_E_POISONED, JINI_E_READ_ONLY
 *
 * The store is read without a text alone: for an address, a peek, and a user whose limits are not
 * at hand. A peek that cannot read its quotas says so before what a rate limit refuses.
 */
JINI_EXPORT int jini_limit_check(struct jini *jini, const struct jini_limit_check *check,
                                 struct jini_limit_answer *answer, struct jini_error *error);

/*
 * Gives back what the check that gave `answer` charged, in windows that are not over; once per
 * answer. Any thread of any process of the database. JINI_E_NOT_FOUND: all of its windows are over,
 * or nothing was charged.
 */
JINI_EXPORT int jini_limit_refund(struct jini *jini, const struct jini_limit_answer *answer,
                                  struct jini_error *error);

/*
 * Forgets what was counted. With `limits` NULL by the subject's own limits: rate limits at once,
 * quotas durably (what is reserved by running jobs stays). With a text of the caller's what checks
 * with this text and scope have counted, at once; all else that the subject counts stays.
 *
 * JINI_E_NOT_FOUND  no such user
 * JINI_E_BUSY       a stopped process holds the place of the count; some limits may be reset
 * JINI_E_INVALID    what no check takes, by the same field
 * JINI_E_CORRUPT    as of jini_limit_check()
 * JINI_E_READ_ONLY  the database was opened read-only
 */
struct jini_limit_reset {
    struct jini_request request;
    struct jini_subject subject;
    const char *limits; /* these two as in struct jini_limit_check */
    const char *scope;
};
JINI_EXPORT int jini_limit_reset(struct jini *jini, struct jini_limit_reset *reset,
                                 jini_callback *callback);

/* A subject and how much of a rate limit it has used. */
struct jini_limit_usage {
    struct jini_subject subject;
    uint64_t amount;
    uint64_t used;
    uint64_t reset_ms;
    uint32_t period_ms;
    uint32_t reserved;
};

enum { JINI_LIMIT_TOP_MAX = 100 };

/*
 * Lists the subjects that have used the largest share of a rate limit, most first; at most
 * `capacity`, and never more than JINI_LIMIT_TOP_MAX. Reads the whole table: milliseconds for a
 * million slots. Any thread.
 */
JINI_EXPORT int jini_limit_top(struct jini *jini, struct jini_limit_usage *out, size_t capacity,
                               size_t *count, struct jini_error *error);

/*
 * Checks a limits text. 0: it is valid, and tiers and overrides take it; "" is, and is no limit.
 * Two uses take less: a check or reset with a text of its own no quotas, and a call inside a
 * transaction no time zones but UTC. JINI_E_INVALID: `error` names the limit, the part and the
 * rule.
 */
JINI_EXPORT int jini_limits_validate(const char *text, struct jini_error *error);

/* Writes the words of an entry, "5 per 1 minute", as refusals of the seed say it. */
JINI_EXPORT void jini_limit_describe(const struct jini_limit_entry *entry, char *text,
                                     size_t capacity);

#ifdef __cplusplus
}
#endif
#endif
