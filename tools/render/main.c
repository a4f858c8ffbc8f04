/* jini-render: one picture from the command line. */
#include "render/render.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char help[] =
    "Usage: jini-render [OPTION]... -o FILE\n"
    "Draws a landscape and writes it as a PNG file with an infotext, as an image generator would.\n"
    "The same options give the same picture, on every machine.\n"
    "\n"
    "  -o, --output FILE    where to write it; - is the standard output\n"
    "      --seed N         0 to 18446744073709551615; 1 by default\n"
    "      --size WxH       each side 8 to 8192 pixels; 512x512 by default\n"
    "      --steps N        1 to 1000; 20 by default\n"
    "      --prompt TEXT    words such as lake, meadow, dunes, noon, dawn, dusk, night, winter "
    "and\n"
    "                       desert are heeded\n"
    "      --negative TEXT  the negative prompt\n"
    "      --model NAME     the name of the model\n"
    "      --help           this text\n"
    "\n"
    "Example:\n"
    "  jini-render --seed 7 --size 768x512 --prompt 'a quiet lake at dusk' -o lake.png\n";

enum option_code {
    OPTION_SEED = 256,
    OPTION_SIZE,
    OPTION_STEPS,
    OPTION_PROMPT,
    OPTION_NEGATIVE,
    OPTION_MODEL,
    OPTION_HELP
};

static const struct option options[] = {{"output", required_argument, NULL, 'o'},
                                        {"seed", required_argument, NULL, OPTION_SEED},
                                        {"size", required_argument, NULL, OPTION_SIZE},
                                        {"steps", required_argument, NULL, OPTION_STEPS},
                                        {"prompt", required_argument, NULL, OPTION_PROMPT},
                                        {"negative", required_argument, NULL, OPTION_NEGATIVE},
                                        {"model", required_argument, NULL, OPTION_MODEL},
                                        {"help", no_argument, NULL, OPTION_HELP},
                                        {NULL, 0, NULL, 0}};

/* A decimal number up to `most` at the front of `*text`, which is moved past it. */
static bool take_number(const char **text, uint64_t most, uint64_t *out)
{
    const char *digit = *text;
    uint64_t number = 0;
    while (*digit >= '0' && *digit <= '9') {
        unsigned value = (unsigned)(*digit++ - '0');
        if (number > (most - value) / 10)
            return false;
        number = number * 10 + value;
    }
    bool any = digit != *text;
    *text = digit;
    *out = number;
    return any;
}

static bool parse_number(const char *text, uint64_t most, uint64_t *out)
{
    return take_number(&text, most, out) && *text == '\0';
}

static bool parse_size(const char *text, struct render_request *request)
{
    uint64_t width;
    uint64_t height;
    if (!take_number(&text, UINT32_MAX, &width) || *text++ != 'x' ||
        !parse_number(text, UINT32_MAX, &height))
        return false;
    request->width = (uint32_t)width;
    request->height = (uint32_t)height;
    return true;
}

/* Reads the options. 0, or JINI_E_INVALID once the mistake is printed. */
static int read_options(int count, char **values, struct render_request *request,
                        const char **output, bool *wants_help)
{
    int code;
    while ((code = getopt_long(count, values, "o:", options, NULL)) != -1) {
        uint64_t number = 0;
        bool good = true;
        if (code == 'o')
            *output = optarg;
        else if (code == OPTION_SEED)
            good = parse_number(optarg, UINT64_MAX, &request->seed);
        else if (code == OPTION_SIZE)
            good = parse_size(optarg, request);
        else if (code == OPTION_STEPS && (good = parse_number(optarg, UINT32_MAX, &number)))
            request->steps = (uint32_t)number;
        else if (code == OPTION_PROMPT)
            request->prompt = optarg;
        else if (code == OPTION_NEGATIVE)
            request->negative = optarg;
        else if (code == OPTION_MODEL)
            request->model = optarg;
        else if (code == OPTION_HELP)
            *wants_help = true;
        else if (code == '?')
            return JINI_E_INVALID; /* getopt_long() has said why */
        if (!good) {
            fprintf(stderr, "jini-render: \"%s\" is not what this option takes; see --help\n",
                    optarg);
            return JINI_E_INVALID;
        }
    }
    if (optind < count) {
        fprintf(stderr, "jini-render: \"%s\" belongs to no option; see --help\n", values[optind]);
        return JINI_E_INVALID;
    }
    return 0;
}

/* Takes a file away that was written in part; a device that has the path stays. */
static void remove_cut_file(const char *path)
{
    struct stat info;
    if (lstat(path, &info) == 0 && S_ISREG(info.st_mode))
        unlink(path);
}

/* Writes a file whole or not at all. */
static int write_image(const struct render_image *image, const char *path)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdout : fopen(path, "wb");
    if (!file) {
        fprintf(stderr, "jini-render: cannot create %s: %s\n", path, strerror(errno));
        return JINI_E_IO;
    }
    bool written = fwrite(image->bytes, 1, image->length, file) == image->length;
    int saved = written ? 0 : errno;
    if ((standard ? fflush(file) : fclose(file)) != 0 && written) {
        written = false;
        saved = errno;
    }
    if (written)
        return 0;
    fprintf(stderr, "jini-render: cannot write %s: %s\n", path, strerror(saved));
    if (!standard)
        remove_cut_file(path);
    return JINI_E_IO;
}

int main(int count, char **values)
{
    struct render_request request;
    struct render_image image = {0};
    struct jini_error error;
    const char *output = NULL;
    bool wants_help = false;
    render_request_init(&request);
    int status = read_options(count, values, &request, &output, &wants_help);
    if (status == 0 && wants_help)
        return fputs(help, stdout) < 0 || fflush(stdout) != 0;
    if (status == 0 && !output) {
        fputs("jini-render: give -o FILE; see --help\n", stderr);
        status = JINI_E_INVALID;
    }
    if (status == 0) {
        status = render_image(&request, &image, &error);
        if (status)
            fprintf(stderr, "jini-render: %s\n", error.message);
    }
    if (status == 0)
        status = write_image(&image, output);
    render_image_free(&image);
    return jini_status_exit_code(status);
}
