/* See postgres_server.h. */
#include "peers/postgres_server.h"

#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAMS "/usr/lib/postgresql/15/bin/"

enum { START_WAIT_MS = 60000, ARGUMENTS_MAX = 64 };

struct postgres_server {
    pid_t pid;
    pid_t owner; /* a child that inherits this struct does not own the server */
    int directory;
    char log[4200];
};

/* Of this process, to be stopped when that ends early. */
static struct postgres_server *running;

/* ---- The user -------------------------------------------------------------------------------- */

/* Who the server runs as: nobody else, unless this is root. */
static const struct passwd *server_user(void)
{
    return geteuid() == 0 ? getpwnam("postgres") : NULL;
}

static bool become(const struct passwd *user)
{
    return !user || (initgroups(user->pw_name, user->pw_gid) == 0 && setgid(user->pw_gid) == 0 &&
                     setuid(user->pw_uid) == 0);
}

static bool ends_well(pid_t child)
{
    int status;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            return false;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The server goes by this path, whatever directory it is started in. To be freed. */
static char *whole_path(const char *directory)
{
    char *path = realpath(directory, NULL);
    if (!path)
        bench_fail("cannot find %s: %s", directory, strerror(errno));
    return path;
}

/* Whether the user can pass a directory and those above it. */
static bool can_pass(const struct passwd *user, const char *directory)
{
    char *path = whole_path(directory);
    pid_t child = bench_fork();
    if (child == 0)
        _exit(become(user) && access(path, X_OK) == 0 ? 0 : 1);
    free(path);
    return ends_well(child);
}

const char *postgres_server_missing(const char *directory)
{
    static char text[4400];
    if (access(PROGRAMS "postgres", X_OK) != 0 || access(PROGRAMS "initdb", X_OK) != 0)
        return "PostgreSQL 15 is not installed; apt-get install postgresql-15";
    const struct passwd *user = server_user();
    if (geteuid() == 0 && !user)
        return "PostgreSQL does not run as root, and there is no user postgres";
    if (can_pass(user, directory))
        return NULL;
    snprintf(text, sizeof(text),
             "PostgreSQL does not run as root, and the user postgres cannot pass %s; name a "
             "directory that it can pass by --dir",
             directory);
    return text;
}

/* ---- Starting -------------------------------------------------------------------------------- */

/* In a child: what the program prints goes to the log. */
static void run(const struct passwd *user, const char *log, const char *const *arguments)
{
    int output = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (output < 0 || dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0 ||
        !become(user))
        _exit(126);
    /* Again: a change of user takes it away. SIGQUIT ends the server and its processes at once. */
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    execv(arguments[0], (char *const *)(uintptr_t)arguments);
    _exit(127);
}

static bool is_made(const char *directory)
{
    char path[4200];
    snprintf(path, sizeof(path), "%s/PG_VERSION", directory);
    return access(path, F_OK) == 0;
}

static void make_cluster(const struct postgres_server *server, const char *directory)
{
    const char *const arguments[] = {PROGRAMS "initdb",     "--pgdata",     directory,
                                     "--username=postgres", "--auth=trust", "--encoding=UTF8",
                                     "--locale=C",          "--no-sync",    NULL};
    const struct passwd *user = server_user();
    if (user && chown(directory, user->pw_uid, user->pw_gid) != 0)
        bench_fail("cannot give %s to the user postgres: %s", directory, strerror(errno));
    pid_t child = bench_fork();
    if (child == 0)
        run(user, server->log, arguments);
    if (!ends_well(child))
        bench_fail("PostgreSQL's initdb failed; see %s", server->log);
}

static void start(struct postgres_server *server, const char *directory, enum postgres_sync sync,
                  bool small)
{
    const char *const arguments[ARGUMENTS_MAX] = {
        PROGRAMS "postgres",
        "-D",
        directory,
        "--port=5432", /* of the socket's name */
        "--listen_addresses=",
        "--unix_socket_directories=.",
        "--max_connections=100",
        sync == POSTGRES_SYNCED ? "--fsync=on" : "--fsync=off",
        "--synchronous_commit=on",
        "--full_page_writes=on",
        small ? "--shared_buffers=16MB" : "--shared_buffers=1GB",
        "--max_wal_size=64GB",
        small ? "--min_wal_size=80MB" : "--min_wal_size=2GB",
        "--checkpoint_timeout=1h",
        small ? "--wal_buffers=4MB" : "--wal_buffers=64MB",
        "--work_mem=64MB",
        "--maintenance_work_mem=1GB",
        "--autovacuum=off",
        "--jit=off",
        NULL};
    server->owner = getpid();
    server->pid = bench_fork();
    if (server->pid == 0)
        run(server_user(), server->log, arguments);
}

/* ---- Stopping -------------------------------------------------------------------------------- */

static void stop(struct postgres_server *server, int signal)
{
    kill(server->pid, signal);
    ends_well(server->pid);
    running = NULL;
}

static void stop_running(void)
{
    if (running && running->owner == getpid())
        stop(running, SIGQUIT);
}

void postgres_server_stop(struct postgres_server *server)
{
    stop(server, SIGINT);
    close(server->directory);
    free(server);
}

/* ---- Connections ----------------------------------------------------------------------------- */

/*
 * By a path through the directory's descriptor, for that of a socket has 107 bytes at most. No
 * encryption is asked about.
 */
static PGconn *try_to_connect(struct postgres_server *server)
{
    char host[64];
    snprintf(host, sizeof(host), "/proc/self/fd/%d", server->directory);
    const char *const keywords[] = {"host", "port", "user", "dbname", "gssencmode", NULL};
    const char *const values[] = {host, "5432", "postgres", "postgres", "disable", NULL};
    return PQconnectdbParams(keywords, values, 0);
}

PGconn *postgres_server_connect(struct postgres_server *server)
{
    PGconn *connection = try_to_connect(server);
    if (PQstatus(connection) != CONNECTION_OK)
        bench_fail("cannot connect to PostgreSQL: %s", PQerrorMessage(connection));
    return connection;
}

static void wait_for_start(struct postgres_server *server)
{
    int status;
    for (unsigned waited_ms = 0; waited_ms < START_WAIT_MS; waited_ms++) {
        PGconn *connection = try_to_connect(server);
        bool connected = PQstatus(connection) == CONNECTION_OK;
        PQfinish(connection);
        if (connected)
            return;
        if (waitpid(server->pid, &status, WNOHANG) == server->pid) {
            running = NULL;
            bench_fail("PostgreSQL did not start; see %s", server->log);
        }
        bench_sleep(0.001);
    }
    bench_fail("PostgreSQL has not started within %d s; see %s", START_WAIT_MS / 1000, server->log);
}

struct postgres_server *postgres_server_start(const char *directory, enum postgres_sync sync,
                                              bool small)
{
    static bool watching;
    struct postgres_server *server = bench_alloc(1, sizeof(*server));
    char *path = whole_path(directory);
    if (running && running->owner == getpid())
        bench_fail("a process starts one PostgreSQL at a time");
    snprintf(server->log, sizeof(server->log), "%s.log", directory);
    if (!is_made(path))
        make_cluster(server, path);
    server->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (server->directory < 0)
        bench_fail("cannot open %s: %s", directory, strerror(errno));
    if (!watching)
        atexit(stop_running);
    watching = true;
    running = server;
    start(server, path, sync, small);
    wait_for_start(server);
    free(path);
    return server;
}
