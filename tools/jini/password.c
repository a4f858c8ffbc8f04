/* Asking for passwords on the controlling terminal. */
#include "password.h"

#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

void password_wipe(char *password)
{
    explicit_bzero(password, JINI_PASSWORD_MAX);
}

/* Reads a line byte by byte, so that what follows it stays with whoever reads on. */
static int read_line(struct command *command, int descriptor, char *out)
{
    size_t length = 0;
    for (;;) {
        char byte;
        if (!interrupt_wait_readable(descriptor))
            return command_fail(command, JINI_E_CANCELLED, "password", "interrupted");
        ssize_t taken = read(descriptor, &byte, 1);
        if (taken < 0 && errno == EINTR)
            continue;
        if (taken < 0)
            return command_fail(command, JINI_E_IO, "password", "it cannot be read: %s",
                                strerror(errno));
        if (taken == 0 || byte == '\n')
            break;
        if (byte == '\0')
            return command_fail(command, JINI_E_INVALID, "password", "it has a zero byte");
        if (length + 1 == JINI_PASSWORD_MAX)
            return command_fail(command, JINI_E_INVALID, "password", "it is longer than %d bytes",
                                JINI_PASSWORD_MAX - 1);
        out[length++] = byte;
    }
    out[length] = '\0';
    if (length == 0)
        return command_fail(command, JINI_E_INVALID, "password",
                            "it is empty; 1 to %d bytes are taken", JINI_PASSWORD_MAX - 1);
    return 0;
}

static void say(int terminal, const char *text)
{
    ssize_t ignored = write(terminal, text, strlen(text));
    (void)ignored;
}

static int ask(struct command *command, int terminal, const char *question, char *out)
{
    struct termios old;
    if (tcgetattr(terminal, &old) != 0)
        return command_fail(command, JINI_E_IO, "password", "the terminal cannot be set up: %s",
                            strerror(errno));
    struct termios silent = old;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
    silent.c_lflag |= ICANON | ECHONL | ISIG;
    if (tcsetattr(terminal, TCSAFLUSH, &silent) != 0)
        return command_fail(command, JINI_E_IO, "password", "the echo cannot be switched off: %s",
                            strerror(errno));
    say(terminal, question);
    int status = read_line(command, terminal, out);
    tcsetattr(terminal, TCSAFLUSH, &old);
    if (interrupt_signal())
        say(terminal, "\n");
    return status;
}

static int ask_twice(struct command *command, char *out)
{
    char again[JINI_PASSWORD_MAX];
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (terminal < 0)
        return command_fail(command, JINI_E_INVALID, "password",
                            "there is no terminal to ask on; use --password-stdin");
    int status = ask(command, terminal, "Password: ", out);
    if (status == 0)
        status = ask(command, terminal, "The same again: ", again);
    if (status == 0 && strcmp(out, again) != 0)
        status = command_fail(command, JINI_E_INVALID, "password", "the two are not the same");
    password_wipe(again);
    close(terminal);
    return status;
}

int password_read(struct command *command, enum password_source source, char *out)
{
    int status = 0;
    out[0] = '\0';
    if (source == PASSWORD_TERMINAL)
        status = ask_twice(command, out);
    else if (source == PASSWORD_STDIN)
        status = read_line(command, STDIN_FILENO, out);
    if (status)
        password_wipe(out);
    return status;
}
