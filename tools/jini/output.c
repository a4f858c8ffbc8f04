/* Standard output and standard error, under one lock. */
#include "output.h"

#include "layout.h"
#include "sink.h"
#include "words.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PIPE_MS = 50 }; /* in which what a pipe took has reached the terminal, if it goes there */

static const char style_bold[] = "\x1b[1m";
static const char style_red[] = "\x1b[1;31m";
static const char style_none[] = "\x1b[0m";
static const char erase_line[] = "\r\x1b[K";

static struct {
    pthread_mutex_t lock;
    struct output_settings settings;
    bool terminal;       /* standard output */
    bool pipe;           /* it is one, which may lead to the terminal: "| tee" */
    bool error_terminal; /* standard error */
    bool colours;        /* where it is a terminal */
    bool progress_shown;
    uint64_t written_ms; /* when standard output took something */
    int failed_errno;    /* of the first write that failed, or 0 */
    char progress[512];
} output = {.lock = PTHREAD_MUTEX_INITIALIZER};

void output_guard_descriptors(void)
{
    /* Opened the wrong way round, so that using one fails as a closed one would. */
    static const int flags[] = {O_WRONLY, O_RDONLY, O_RDONLY};
    for (int i = 0; i < 3; i++) {
        if (fcntl(i, F_GETFD) >= 0 || errno != EBADF)
            continue;
        int opened = open("/dev/null", flags[i]);
        if (opened >= 0 && opened != i) {
            dup2(opened, i);
            close(opened);
        }
    }
}

static bool is_pipe(int descriptor)
{
    struct stat info;
    return fstat(descriptor, &info) == 0 && (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode));
}

void output_begin(const struct output_settings *settings)
{
    const char *no_color = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    bool dumb = !terminal || strcmp(terminal, "dumb") == 0;
    output.settings = *settings;
    output.terminal = isatty(STDOUT_FILENO) == 1;
    output.pipe = is_pipe(STDOUT_FILENO);
    output.error_terminal = isatty(STDERR_FILENO) == 1 && !dumb;
    output.colours = !dumb && !(no_color && no_color[0] != '\0');
}

bool output_is_json(void)
{
    return output.settings.json;
}

bool output_is_terminal(void)
{
    return output.terminal;
}

bool output_shows_progress(void)
{
    return output.error_terminal && !output.settings.json && !output.settings.quiet;
}

bool output_tells_progress(void)
{
    return !output.error_terminal && !output.settings.json && !output.settings.quiet;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- Under the lock ---- */

static void hide_progress(void)
{
    if (output.progress_shown) {
        fputs(erase_line, stderr);
        output.progress_shown = false;
    }
}

static void show_progress(void)
{
    bool on_its_way = output.pipe && now_ms() - output.written_ms < PIPE_MS;
    if (output.progress[0] != '\0' && !output.progress_shown && !on_its_way) {
        fputs(output.progress, stderr);
        output.progress_shown = true;
    }
}

/* Both take the line of progress away, on which results would stand otherwise. */
static void write_out(const void *bytes, size_t length)
{
    hide_progress();
    if (output.failed_errno == 0)
        output.failed_errno = sink_write(bytes, length);
    output.written_ms = now_ms();
}

static void flush_out(void)
{
    if (output.failed_errno || sink_is_empty())
        return;
    hide_progress();
    output.failed_errno = sink_flush();
    output.written_ms = now_ms();
}

/* A line, or several, on one of the two streams. `style` is put around it on a terminal. */
static void write_text(FILE *stream, const char *style, const char *text, enum words_lines lines)
{
    bool terminal = stream == stdout ? output.terminal : output.error_terminal;
    bool styled = style && terminal && output.colours;
    char *safe = words_printable(text, strlen(text), lines);
    const char *shown = safe ? safe : "";
    pthread_mutex_lock(&output.lock);
    hide_progress();
    if (stream == stderr) {
        fprintf(stderr, "%s%s%s\n", styled ? style : "", shown, styled ? style_none : "");
    } else {
        if (styled)
            write_out(style, strlen(style));
        write_out(shown, strlen(shown));
        if (styled)
            write_out(style_none, strlen(style_none));
        write_out("\n", 1);
        if (output.terminal)
            flush_out(); /* before the line of progress stands there again */
    }
    show_progress();
    pthread_mutex_unlock(&output.lock);
    free(safe);
}

/* Names of files may have line feeds, by which one line would look like two. */
static void write_line(FILE *stream, const char *style, const char *text)
{
    write_text(stream, style, text, WORDS_ONE_LINE);
}

static void format_line(FILE *stream, const char *style, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

static void format_line(FILE *stream, const char *style, const char *format, va_list arguments)
{
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0)
        return;
    write_line(stream, style, text);
    free(text);
}

/* ---- Results ---- */

void output_line(const char *format, ...)
{
    va_list arguments;
    if (output.settings.json)
        return;
    va_start(arguments, format);
    format_line(stdout, NULL, format, arguments);
    va_end(arguments);
}

void output_text(const char *text)
{
    if (!output.settings.json)
        write_text(stdout, NULL, text, WORDS_KEEP_LINES);
}

void output_heading(const char *format, ...)
{
    va_list arguments;
    if (output.settings.json)
        return;
    va_start(arguments, format);
    format_line(stdout, style_bold, format, arguments);
    va_end(arguments);
}

void output_info(const char *format, ...)
{
    va_list arguments;
    if (output.settings.json || output.settings.quiet)
        return;
    va_start(arguments, format);
    format_line(stdout, NULL, format, arguments);
    va_end(arguments);
}

void output_note(const char *format, ...)
{
    va_list arguments;
    if (output.settings.json || output.settings.quiet)
        return;
    va_start(arguments, format);
    format_line(stderr, NULL, format, arguments);
    va_end(arguments);
}

void output_json(json_t *object)
{
    char *text = object && output.settings.json ? json_dumps(object, JSON_COMPACT) : NULL;
    if (output.settings.json) {
        pthread_mutex_lock(&output.lock);
        if (!text && output.failed_errno == 0)
            output.failed_errno = ENOMEM;
        if (text)
            write_out(text, strlen(text));
        write_out("\n", 1);
        if (output.terminal)
            flush_out();
        pthread_mutex_unlock(&output.lock);
    }
    free(text);
    json_decref(object);
}

void output_raw(const void *bytes, size_t length)
{
    pthread_mutex_lock(&output.lock);
    write_out(bytes, length);
    pthread_mutex_unlock(&output.lock);
}

void output_flush(void)
{
    pthread_mutex_lock(&output.lock);
    flush_out();
    show_progress();
    pthread_mutex_unlock(&output.lock);
}

/* ---- Errors ---- */

/* A line of JSON on standard error. Takes the object over. */
static void write_error_json(json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    pthread_mutex_lock(&output.lock);
    fprintf(stderr, "%s\n", text ? text : "{\"error\":{\"name\":\"E_NO_MEMORY\"}}");
    pthread_mutex_unlock(&output.lock);
    free(text);
    json_decref(object);
}

/* Null for never: the error says so, or nothing but another request or handle helps. */
static json_t *retry_after(const struct jini_error *error)
{
    enum jini_retry retry = jini_status_retry(error->code);
    bool is_final = retry == JINI_RETRY_NEVER || retry == JINI_RETRY_REOPEN;
    return is_final && error->retry_after_ms == 0 ? json_null()
                                                  : layout_number(error->retry_after_ms);
}

json_t *output_error_object(const struct jini_error *error)
{
    const char *message =
        error->message[0] != '\0' ? error->message : jini_status_text(error->code);
    return json_pack("{s:i, s:i, s:s, s:o, s:o, s:o}", "code", (int)error->code, "exit_status",
                     jini_status_exit_code(error->code), "name", jini_status_name(error->code),
                     "field", layout_text(error->field), "message", layout_text(message),
                     "retry_after_ms", retry_after(error));
}

static void error_in_words(const struct jini_error *error, char *out, size_t capacity)
{
    const char *message =
        error->message[0] != '\0' ? error->message : jini_status_text(error->code);
    bool names_field = error->field[0] == '\0' || strstr(message, error->field);
    char retry[WORDS_NUMBER_MAX + 16] = "";
    bool says_when = strstr(message, "come back") != NULL;
    if (error->retry_after_ms > 0 && error->retry_after_ms != UINT64_MAX && !says_when) {
        char span[WORDS_NUMBER_MAX];
        words_span_ms(error->retry_after_ms, span);
        snprintf(retry, sizeof(retry), " (come back in %s)", span);
    }
    snprintf(out, capacity, "jini: %s%s%s%s", names_field ? "" : error->field,
             names_field ? "" : ": ", message, retry);
}

void output_error(const struct jini_error *error)
{
    char words[sizeof(error->message) + sizeof(error->field) + 128];
    if (!output.settings.json) {
        error_in_words(error, words, sizeof(words));
        write_line(stderr, style_red, words);
        return;
    }
    write_error_json(json_pack("{s:o}", "error", output_error_object(error)));
}

void output_unprinted(json_t *object, const char *format, ...)
{
    va_list arguments;
    if (output.settings.json) {
        write_error_json(json_pack("{s:o}", "unprinted", object));
        return;
    }
    json_decref(object);
    va_start(arguments, format);
    format_line(stderr, NULL, format, arguments);
    va_end(arguments);
}

/* ---- Progress and records ---- */

void output_progress(const char *line)
{
    if (!output_shows_progress())
        return;
    pthread_mutex_lock(&output.lock);
    hide_progress();
    snprintf(output.progress, sizeof(output.progress), "%s", line ? line : "");
    show_progress();
    pthread_mutex_unlock(&output.lock);
}

static const char *level_name(enum jini_log_level level)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    return level <= JINI_LOG_ERROR ? names[level] : "unknown";
}

static void log_as_json(enum jini_log_level level, const char *event,
                        const struct jini_log_field *fields, size_t field_count)
{
    json_t *members = json_object();
    for (size_t i = 0; i < field_count; i++)
        json_object_set_new(members, fields[i].name,
                            fields[i].text ? layout_text(fields[i].text)
                                           : json_integer((json_int_t)fields[i].number));
    write_error_json(json_pack("{s:{s:s, s:s, s:o}}", "log", "level", level_name(level), "event",
                               event, "fields", members));
}

static const char *message_of(const struct jini_log_field *fields, size_t field_count)
{
    for (size_t i = 0; i < field_count; i++) {
        if (fields[i].text && strcmp(fields[i].name, "message") == 0)
            return fields[i].text;
    }
    return NULL;
}

/* What has words is said in them; all fields are for those who ask for the log. */
void output_log(void *context, enum jini_log_level level, const char *event,
                const struct jini_log_field *fields, size_t field_count)
{
    char line[2048];
    (void)context;
    if (output.settings.json) {
        log_as_json(level, event, fields, field_count);
        return;
    }
    const char *message = output.settings.verbose ? NULL : message_of(fields, field_count);
    if (message) {
        snprintf(line, sizeof(line), "%s: %s (%s)", level_name(level), message, event);
        write_line(stderr, NULL, line);
        return;
    }
    int length = snprintf(line, sizeof(line), "%s: %s", level_name(level), event);
    for (size_t i = 0; i < field_count && length > 0 && (size_t)length < sizeof(line); i++) {
        size_t room = sizeof(line) - (size_t)length;
        length +=
            fields[i].text
                ? snprintf(line + length, room, " %s=%s", fields[i].name, fields[i].text)
                : snprintf(line + length, room, " %s=%" PRId64, fields[i].name, fields[i].number);
    }
    write_line(stderr, NULL, line);
}

/* ---- The end ---- */

bool output_is_broken(void)
{
    pthread_mutex_lock(&output.lock);
    bool broken = output.failed_errno != 0;
    pthread_mutex_unlock(&output.lock);
    return broken;
}

int output_end(bool *closed_pipe, struct jini_error *error)
{
    output_progress(NULL);
    pthread_mutex_lock(&output.lock);
    flush_out();
    int failed = output.failed_errno;
    pthread_mutex_unlock(&output.lock);
    *closed_pipe = failed == EPIPE;
    if (failed == 0)
        return 0;
    memset(error, 0, sizeof(*error));
    error->code = failed == ENOMEM                       ? JINI_E_NO_MEMORY
                  : failed == ENOSPC || failed == EDQUOT ? JINI_E_FULL
                                                         : JINI_E_IO;
    snprintf(error->field, sizeof(error->field), "standard output");
    snprintf(error->message, sizeof(error->message),
             "standard output cannot be written: %s; the result is not complete", strerror(failed));
    return error->code;
}
