/*
 * All that the command prints. One process has one standard output: this file owns it, and standard
 * error.
 *
 *   standard output  results: aligned text, or with --json one object, or one object a line for
 *                    lists and events
 *   standard error   errors, notes, log records of --verbose, progress; with --json errors are one
 *                    object
 *
 * 1. Text from the database, from files and from arguments goes through words_printable() before a
 *    terminal sees it.
 * 2. A write that fails is remembered; output_end() reports it once. Nothing is written after it.
 * 3. Any thread may print: records of a run arise on threads of the engine.
 */
#ifndef JINI_CLI_OUTPUT_H
#define JINI_CLI_OUTPUT_H

#include <jansson.h>
#include <jini/error.h>
#include <jini/log.h>
#include <stdbool.h>
#include <stddef.h>

struct output_settings {
    bool json;
    bool quiet;
    bool verbose;
};

/*
 * Opens what of the three standard descriptors is closed, so that no file of the database takes its
 * place.
 */
void output_guard_descriptors(void);

void output_begin(const struct output_settings *settings);
bool output_is_json(void);

/* True when people look at standard output, or at progress on standard error. */
bool output_is_terminal(void);
bool output_shows_progress(void);

/* True when progress is told in plain lines: standard error is something else. */
bool output_tells_progress(void);

/* A line of a result, in which a line feed is an escape. Not printed with --json. */
void output_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A text of several lines that ends in none. Not printed with --json. */
void output_text(const char *text);

/* As output_line(), in bold on a terminal. */
void output_heading(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * A line that --quiet leaves out: how much was done, how long it took, that it was done. What the
 * verb was asked for is a result and stays: rows of a list, fields of an object, ids of what was
 * stored, what was refused.
 */
void output_info(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line on standard error that --quiet leaves out; not printed with --json. */
void output_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A JSON object as a line. Takes the object over. Printed with --json only. */
void output_json(json_t *object);

/* Bytes as they are, in either form. */
void output_raw(const void *bytes, size_t length);

/* Hands over what was printed so far: after each event of a long run. */
void output_flush(void);

/* The error of the command: "jini: field: message", or {"error": {...}}. */
void output_error(const struct jini_error *error);

/*
 * A result that standard output did not take, on standard error: the line, or with --json
 * {"unprinted": object}. Takes the object over.
 */
void output_unprinted(json_t *object, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* {"code", "exit_status", "name", "field", "message", "retry_after_ms"}. */
json_t *output_error_object(const struct jini_error *error);

/*
 * Replaces the line that shows progress; NULL removes it. Nothing happens unless
 * output_shows_progress().
 */
void output_progress(const char *line);

/* The callback for records of the engine. */
void output_log(void *context, enum jini_log_level level, const char *event,
                const struct jini_log_field *fields, size_t field_count);

/* True once nothing more can be written: time to stop. */
bool output_is_broken(void);

/*
 * Writes out what is buffered. 0, or JINI_E_IO or JINI_E_FULL once a write failed. `*closed_pipe`:
 * the reader of standard output has gone, which is no fault worth a message.
 */
int output_end(bool *closed_pipe, struct jini_error *error);

#endif
