/* What the files of this module share: keys, rows, and the edits that make up a change. */
#ifndef GENERATIONS_PRIVATE_H
#define GENERATIONS_PRIVATE_H

#include "base/tuple.h"
#include "generations/generations.h"
#include "generations/layout.h"

/* ---- Keys ------------------------------------------------------------------------------------ */

enum user_list_kind { LIST_IMAGES, LIST_JOBS };

void key_record(struct tuple *key, const struct jini_id *id); /* of a job and of an image */
void key_prompt(struct tuple *key, const struct jini_id *job);
void key_negative(struct tuple *key, const struct jini_id *job);
void key_list_tail(struct tuple *key, uint64_t user_id, enum user_list_kind kind);
void key_list_page(struct tuple *key, uint64_t user_id, enum user_list_kind kind, uint64_t page);
void key_running(struct tuple *key, const struct generations_subject *subject);
void key_due(struct tuple *key, enum generations_due_kind kind, uint64_t due_ms);

/* ---- Errors ---------------------------------------------------------------------------------- */

/* Fills `error` for a record ("job", "image") that could not be used, and returns `status`. */
int record_failed(struct jini_error *error, int status, const char *what, const struct jini_id *id);

/* The same for a row of a user, or of an address when user_id is 0. */
int user_row_failed(struct jini_error *error, int status, const char *what, uint64_t user_id);

/* ---- Rows of jobs (job_row.c) ---------------------------------------------------------------- */

enum {
    JOB_ROW_BYTES_MAX = 8192,
    JOB_IMAGES_BYTES_MAX = JINI_JOB_IMAGES_MAX * JINI_ID_BYTES,
    IMAGE_ROW_BYTES_MAX = 2048
};

struct job_row {
    uint64_t user_id;
    uint64_t created_ms;
    uint64_t started_ms;
    uint64_t finished_ms;
    uint64_t expires_ms;
    uint64_t kept_until_ms; /* of one that has ended; 0: for ever */
    uint64_t cost_credits;
    uint64_t guidance_millionths;
    int64_t seed;
    uint64_t number; /* in the user's list */
    uint32_t state;
    uint32_t width;
    uint32_t height;
    uint32_t steps;
    uint32_t count;
    uint32_t flags;        /* enum generations_job_flag */
    uint32_t prompt_bytes; /* of prompts in rows of their own; 0 when they are here */
    uint32_t negative_bytes;
    struct slice model;
    struct slice prompt;
    struct slice negative;
    struct slice images; /* ids, one after the other */
    struct slice reservation;
    struct slice address; /* that an anonymous job counts for, until it ends */
    uint64_t round;       /* of a QUEUED one: its turn, see waiting.h */
    uint64_t wait_ms;
    uint32_t priority;
    uint32_t attempt;
    uint32_t attempts_max;
    struct slice worker; /* who took it last */
    struct slice facts;
    struct slice error;
    struct layout_rest rest;
};

int job_row_read(struct slice document, struct job_row *out);
int job_row_write(const struct job_row *row, struct buffer *out);
void job_row_show(const struct job_row *row, const struct jini_id *id, struct jini_job *out);

static inline bool job_row_prompts_outside(const struct job_row *row)
{
    return row->prompt_bytes != 0 || row->negative_bytes != 0;
}

/* True for a job that counts as running, and for whom. */
bool job_row_runs(const struct job_row *row);

static inline struct generations_subject job_row_subject(const struct job_row *row)
{
    return (struct generations_subject){row->user_id, row->address};
}

/* When and why something falls due; due_ms 0: never. */
struct due_time {
    enum generations_due_kind kind;
    uint64_t due_ms;
};

/* 0 when an image of the job is there, but for `except` (may be NULL); else JINI_E_NOT_FOUND. */
int job_row_has_image(struct store_txn *txn, const struct job_row *row,
                      const struct jini_id *except);

/* When a job falls due; one that has ended does not while it has an image. */
int job_row_due(struct store_txn *txn, const struct job_row *row, const struct jini_id *except,
                struct due_time *out);

/* A row with the bytes that its slices point to; not to be copied. */
struct loaded_job {
    struct job_row row;
    uint8_t bytes[JOB_ROW_BYTES_MAX];
};

/* JINI_E_NOT_FOUND leaves `error` alone: the caller knows what it means. */
int job_load(struct store_txn *txn, const struct jini_id *id, struct loaded_job *out,
             struct jini_error *error);
int job_put(struct store_txn *txn, const struct jini_id *id, const struct job_row *row,
            struct jini_error *error);

/*
 * Carries a change of a job's row out, with all that hangs on it: list, running row, due queue and
 * the queue for workers. `after` gets what that decides.
 */
int job_change(struct store_txn *txn, const struct jini_id *id, const struct job_row *before,
               struct job_row *after, struct jini_error *error);

/* The text of a failure as a row keeps it, in `cut`. */
struct slice job_failure(char cut[JINI_JOB_ERROR_MAX], const char *failure);

/* ---- Jobs for workers (waiting_row.c, waiting.c) --------------------------------------------- */

/* Where a job stands among those for workers. */
enum job_standing { STANDING_OUT, STANDING_READY, STANDING_DELAYED, STANDING_TAKEN };

/* Counted by standing; [STANDING_OUT] is not used. */
enum { STANDINGS = 4 };

struct line_row {
    uint64_t round; /* of the job that was taken last: never runs backwards */
    uint64_t count[STANDINGS];
    uint64_t head_round; /* the first of those that are READY; all zero: none is */
    uint64_t head_created_ms;
    struct jini_id head;
    struct layout_rest rest;
};

struct rank_row {
    uint64_t count[STANDINGS];
    uint64_t taken; /* since the database was made */
    uint64_t completed;
    uint64_t retried;
    uint64_t returned;
    struct layout_rest rest;
};

enum { WAITING_ROW_BYTES_MAX = 512, TURN_ROW_BYTES = 8 };

/* What a line is: a model, and a priority. */
struct line {
    struct slice model;
    uint32_t priority;
};

static inline struct line job_row_line(const struct job_row *row)
{
    return (struct line){row->model, row->priority};
}

enum job_standing job_row_standing(const struct job_row *row);

void key_waiting(struct tuple *key, const char *kind); /* begins the keys of a kind */
void key_line(struct tuple *key, const struct line *line);
void key_rank(struct tuple *key, uint32_t priority);
void key_head(struct tuple *key, const struct line *line, uint64_t created_ms);
void key_turns(struct tuple *key, const struct line *line);
void key_turn(struct tuple *key, const struct line *line, uint64_t round, const struct jini_id *id);
void key_flow(struct tuple *key, const struct job_row *row); /* of its user or address */

/* JINI_E_NOT_FOUND: there is none, and `out` is all zero. */
int line_load(struct store_txn *txn, const struct line *line, struct line_row *out);
int rank_load(struct store_txn *txn, uint32_t priority, struct rank_row *out);
int line_row_write(const struct line_row *row, struct buffer *out);
int rank_row_write(const struct rank_row *row, struct buffer *out);

/* A key of a kind read back: JINI_E_CORRUPT where it is none. The line's model is in `model`. */
struct waiting_key {
    struct line line;
    uint64_t number; /* of a turn or a flow the round, of a head the time */
    struct jini_id id;
    uint64_t user_id;
    uint8_t address[GENERATIONS_ADDRESS_MAX];
    size_t address_length;
    char model[JINI_MODEL_MAX];
};
int waiting_key_read(struct slice key, const char *kind, struct waiting_key *out);

/* The first of a line that is READY, but for `except` (may be NULL). JINI_E_NOT_FOUND. */
struct turn {
    uint64_t round;
    uint64_t created_ms;
    struct jini_id id;
};
int line_first(struct store_txn *txn, const struct line *line, const struct jini_id *except,
               struct turn *out);

/*
 * One change: begun, which reads, and gives a new job its round; then written. Of rows that cannot
 * be read, nothing is changed: what ends is not held up by them.
 */
struct waiting_edit {
    enum job_standing before;
    enum job_standing after;
    bool line_lost;
    bool rank_lost;
    bool line_is_new;
    struct line_row line;
    struct line_row line_before;
    struct rank_row rank;
};
int waiting_edit_begin(struct store_txn *txn, const struct jini_id *id,
                       const struct job_row *before, struct job_row *after,
                       struct waiting_edit *edit, struct jini_error *error);
int waiting_edit_write(struct store_txn *txn, const struct jini_id *id,
                       const struct job_row *before, const struct job_row *after,
                       const struct waiting_edit *edit);

/* ---- Rows of images (image_row.c) ------------------------------------------------------------ */

struct image_row {
    uint64_t user_id;
    uint64_t created_ms;
    uint64_t expires_ms;
    uint64_t bytes;
    uint64_t stored_bytes;
    uint64_t metadata_bytes;
    int64_t seed;
    uint64_t trashed_ms;
    uint64_t purge_ms; /* not 0: it is in the trash */
    uint64_t number;   /* in the user's list */
    uint32_t width;
    uint32_t height;
    uint32_t flags; /* enum jini_image_flag */
    uint32_t place; /* enum jini_image_state without the trash */
    uint32_t pack_sequence;
    uint32_t texts_omitted;
    struct jini_id job_id;
    struct jini_id pack_id;
    uint8_t hash[16];
    struct slice media_type;
    struct slice metadata;
    struct layout_rest rest;
};

int image_row_read(struct slice document, struct image_row *out);
int image_row_write(const struct image_row *row, struct buffer *out);
void image_row_show(const struct image_row *row, const struct jini_id *id, struct jini_image *out);

struct loaded_image {
    struct image_row row;
    uint8_t bytes[IMAGE_ROW_BYTES_MAX];
};

int image_load(struct store_txn *txn, const struct jini_id *id, struct loaded_image *out,
               struct jini_error *error);

/* ---- Lists (list_row.c, list.c) -------------------------------------------------------------- */

enum { LIST_PAGE_ITEMS = 16, LIST_ROW_BYTES_MAX = 1024 };

/* Items of numbers page * 16 to page * 16 + 15: bit i of `mask` says that ids[i] is there. */
struct list_page {
    uint32_t mask;
    struct jini_id ids[LIST_PAGE_ITEMS];
    struct layout_rest rest;
};

struct list_counts {
    uint64_t items; /* outside the trash */
    uint64_t bytes;
    uint64_t trashed_items;
    uint64_t trashed_bytes;
};

/* The row of a list beside the user's other rows: its counts and its newest page. */
struct list_tail {
    uint64_t added; /* items ever added: the number of the next one */
    struct list_counts counts;
    struct list_page page; /* with the number list_tail_page(added) */
};

static inline uint64_t list_tail_page(uint64_t added)
{
    return added == 0 ? 0 : (added - 1) / LIST_PAGE_ITEMS;
}

/* Writing answers JINI_E_CORRUPT too: other rows may have made a sound tail contradict itself. */
int list_tail_read(struct slice document, struct list_tail *out);
int list_tail_write(const struct list_tail *tail, struct buffer *out);
int list_page_read(struct slice document, struct list_page *out);
int list_page_write(const struct list_page *page, struct buffer *out);

/* Reads the tail of a user's list; all zero when there is none. */
int list_load(struct store_txn *txn, uint64_t user_id, enum user_list_kind kind,
              struct list_tail *out, struct jini_error *error);

/* One change of a list: begun, then at most one of added, removed and restored, then written. */
struct list_edit {
    uint64_t user_id; /* 0: nothing is kept, and all steps do nothing */
    enum user_list_kind kind;
    bool page_changed; /* a page of space LISTS is to be written too */
    uint64_t page_number;
    struct list_page page;
    struct list_tail tail;
};

int list_edit_begin(struct store_txn *txn, uint64_t user_id, enum user_list_kind kind,
                    struct list_edit *edit, struct jini_error *error);
void list_edit_add(struct list_edit *edit, const struct jini_id *id, uint64_t *number);
int list_edit_remove(struct store_txn *txn, struct list_edit *edit, uint64_t number,
                     const struct jini_id *id, struct jini_error *error);
int list_edit_restore(struct store_txn *txn, struct list_edit *edit, uint64_t number,
                      const struct jini_id *id, struct jini_error *error);

/*
 * Takes `before` from the counts and adds `after`. JINI_E_CORRUPT: a count would fall below 0 or
 * overflow.
 */
int list_edit_count(struct list_edit *edit, const struct list_counts *before,
                    const struct list_counts *after, struct jini_error *error);
int list_edit_write(struct store_txn *txn, const struct list_edit *edit, struct jini_error *error);

/* Up to `capacity` ids below cursor->next, largest number first; moves the cursor. */
int list_read(struct store_txn *txn, uint64_t user_id, enum user_list_kind kind,
              struct jini_list_cursor *cursor, struct jini_id *out, size_t capacity, size_t *count,
              struct jini_error *error);

/* ---- Running jobs (running.c) ---------------------------------------------------------------- */

enum {
    RUNNING_ENTRY_BYTES = 24,
    RUNNING_BYTES_MAX = GENERATIONS_RUNNING_MAX * RUNNING_ENTRY_BYTES
};

/* A job is taken out and/or put in; `expires_ms` is the new time. */
struct running_edit {
    struct generations_subject subject;
    uint32_t count;
    struct generations_running_job jobs[GENERATIONS_RUNNING_MAX];
};

int running_row_read(struct slice bytes, struct generations_running_job *out, uint32_t *count);
void running_row_write(const struct generations_running_job *jobs, uint32_t count,
                       struct buffer *out);

int running_edit_begin(struct store_txn *txn, const struct generations_subject *subject,
                       struct running_edit *edit, struct jini_error *error);
int running_edit_set(struct running_edit *edit, const struct jini_id *id, uint64_t expires_ms,
                     struct jini_error *error);
void running_edit_remove(struct running_edit *edit, const struct jini_id *id);
int running_edit_write(struct store_txn *txn, const struct running_edit *edit);

/* ---- The due queue (due.c) ------------------------------------------------------------------- */

/* Moves the row of `id` from one time to the other. */
int due_move(struct store_txn *txn, const struct jini_id *id, struct due_time before,
             struct due_time after);

#endif
