/* The renderer that stands in for an image generator. */
#include "render/render.h"

#include "base/hash.h"
#include "codec/image.h"
#include "harness.h"

#include <stdatomic.h>
#include <stdlib.h>

static struct render_image draw(const struct render_request *request)
{
    struct render_image image;
    struct jini_error error;
    int status = render_image(request, &image, &error);
    if (status)
        harness_fail(__FILE__, __LINE__, "%s: %s", jini_status_name(status), error.message);
    return image;
}

static uint64_t pixels_hash(const struct render_request *request)
{
    size_t length = (size_t)request->width * request->height * 3;
    uint8_t *pixels = malloc(length);
    CHECK(pixels != NULL);
    CHECK_OK(render_pixels(request, pixels, NULL));
    uint64_t hash = hash64(slice_of(pixels, length));
    free(pixels);
    return hash;
}

TEST(same_request_same_bytes, "A request drawn twice gives the same pixels and the same file.")
{
    struct render_request request;
    render_request_init(&request);
    for (uint64_t seed = 0; seed < 4; seed++) {
        request.seed = seed;
        CHECK_UINT(pixels_hash(&request), ==, pixels_hash(&request));
        struct render_image a = draw(&request);
        struct render_image b = draw(&request);
        CHECK_UINT(a.length, ==, b.length);
        CHECK_BYTES(a.bytes, b.bytes, a.length);
        render_image_free(&a);
        render_image_free(&b);
    }
}

TEST(pixels_are_pinned,
     "The pixels of a request are these, whatever compiler and machine draw them.")
{
    static const struct {
        const char *prompt;
        uint64_t seed;
        uint32_t width;
        uint32_t height;
        uint64_t hash;
    } pinned[] = {
        {"", 1, 512, 512, UINT64_C(0x42dc81aa17506fa2)},
        {"a quiet lake at dusk", 7, 300, 200, UINT64_C(0x908f2e1aa25581c6)},
        {"dunes at noon", UINT64_MAX, 64, 257, UINT64_C(0x5f84b2de4be3e9f4)},
        {"a meadow at night", 42, 129, 65, UINT64_C(0x0028d53fc79c438e)},
    };
    for (size_t i = 0; i < sizeof(pinned) / sizeof(pinned[0]); i++) {
        struct render_request request;
        render_request_init(&request);
        request.prompt = pinned[i].prompt;
        request.seed = pinned[i].seed;
        request.width = pinned[i].width;
        request.height = pinned[i].height;
        CHECK_UINT(pixels_hash(&request), ==, pinned[i].hash);
    }
}

TEST(every_member_changes_the_picture, "Two requests that differ in anything are two pictures.")
{
    struct render_request base;
    render_request_init(&base);
    base.width = 64;
    base.height = 64;
    struct render_request others[6] = {base, base, base, base, base, base};
    others[0].seed++;
    others[1].prompt = "a";
    others[2].negative = "a";
    others[3].model = "a";
    others[4].steps++;
    others[5].prompt = "night";
    uint64_t hash = pixels_hash(&base);
    for (int i = 0; i < 6; i++)
        CHECK_UINT(pixels_hash(&others[i]), !=, hash);
}

TEST(file_is_read_back,
     "The probe finds a whole PNG with the size, the seed and the infotext of the request.")
{
    static const char *const prompts[] = {"a quiet lake", "caf\xc3\xa9 at dawn",
                                          "\xe7\x8c\xab on a meadow", "two\nlines, and \"quotes\"",
                                          ""};
    for (size_t i = 0; i < sizeof(prompts) / sizeof(prompts[0]); i++) {
        struct render_request request;
        render_request_init(&request);
        request.width = 120;
        request.height = 80;
        request.seed = UINT64_MAX - i;
        request.prompt = prompts[i];
        struct render_image file = draw(&request);
        struct codec_image image;
        struct jini_error error;
        CHECK_OK(codec_image_probe(slice_of(file.bytes, file.length), CODEC_PROBE_CHECK_CRC, &image,
                                   &error));
        CHECK_INT(image.type, ==, CODEC_IMAGE_PNG);
        CHECK_TEXT(image.damage_text, "");
        CHECK_UINT(image.width, ==, 120);
        CHECK_UINT(image.height, ==, 80);
        CHECK(image.has_seed);
        CHECK_UINT(image.seed, ==, request.seed);
        CHECK_UINT(image.text_count, ==, 1);
        bool latin1 = i != 2;
        CHECK_INT(image.texts[0].source, ==,
                  latin1 ? CODEC_SOURCE_PNG_TEXT : CODEC_SOURCE_PNG_INTERNATIONAL);
        char *infotext;
        CHECK_OK(render_infotext(&request, &infotext, &error));
        uint8_t room[1024];
        struct buffer utf8 = buffer_of(room, sizeof(room));
        CHECK_OK(codec_text_to_utf8(image.texts[0].encoding, image.texts[0].stored, &utf8));
        CHECK(slice_equal(buffer_slice(&utf8), slice_of_text(infotext)));
        free(infotext);
        render_image_free(&file);
    }
}

TEST(infotext_is_as_the_web_ui_writes_it,
     "Prompt, negative prompt and pairs; a value is quoted only when it must be.")
{
    struct render_request request;
    render_request_init(&request);
    request.seed = 965400086;
    request.height = 768;
    request.prompt = " a cat\n";
    request.negative = "blurry";
    request.model = "v1-5";
    char *text;
    struct jini_error error;
    CHECK_OK(render_infotext(&request, &text, &error));
    CHECK_TEXT(
        text,
        "a cat\n\nNegative prompt: blurry\nSteps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7, "
        "Seed: 965400086, Size: 512x768, Model hash: 281954929d, Model: v1-5, Version: v1.8.0");
    free(text);
    request.prompt = "";
    request.negative = "";
    request.model = "a: \"b\", c\\\n\xc3\xa9\x01";
    CHECK_OK(render_infotext(&request, &text, &error));
    CHECK_INT(strncmp(text, "Steps: 20, ", 11), ==, 0);
    CHECK_CONTAINS(text, ", Model: \"a: \\\"b\\\", c\\\\\\n\xc3\xa9\\u0001\", Version: ");
    free(text);
    request.model = "say \"hello\"";
    CHECK_OK(render_infotext(&request, &text, &error));
    CHECK_CONTAINS(text, ", Model: say \"hello\", Version: ");
    free(text);
}

/* The length of the nth IDAT chunk, or 0 when there are fewer. */
static uint32_t pixel_chunk(struct slice png, unsigned nth, const uint8_t **data)
{
    for (size_t position = 8; position + 12 <= png.length;) {
        uint32_t length = load_be32(png.data + position);
        bool pixels = memcmp(png.data + position + 4, "IDAT", 4) == 0;
        if (pixels && nth-- == 0) {
            *data = png.data + position + 8;
            return length;
        }
        position += 12 + (size_t)length;
    }
    return 0;
}

TEST(file_is_compressed_as_pillow_does,
     "The pixels are one zlib stream of level 6 in chunks of 64 KiB.")
{
    struct render_request request;
    render_request_init(&request);
    struct render_image file = draw(&request);
    struct slice png = slice_of(file.bytes, file.length);
    const uint8_t *data = NULL;
    CHECK_UINT(pixel_chunk(png, 0, &data), ==, 65536);
    CHECK_UINT(data[0], ==, 0x78);
    CHECK_UINT(data[1], ==, 0x9C);
    CHECK_UINT(pixel_chunk(png, 1, &data), ==, 65536);
    render_image_free(&file);
}

TEST(file_weighs_what_a_generated_one_does,
     "Pictures of 512 x 512 take 1 to 2 bytes a pixel, 1.2 to 1.8 on average.")
{
    struct render_request request;
    render_request_init(&request);
    uint64_t total = 0;
    for (request.seed = 100; request.seed < 112; request.seed++) {
        struct render_image file = draw(&request);
        CHECK_UINT(file.length, >, 512 * 512);
        CHECK_UINT(file.length, <, 2 * 512 * 512);
        total += file.length;
        render_image_free(&file);
    }
    CHECK_UINT(total / 12, >, 512 * 512 * 12 / 10);
    CHECK_UINT(total / 12, <, 512 * 512 * 18 / 10);
}

TEST(odd_sizes_are_drawn, "The smallest, the longest, and sides of no round number.")
{
    static const uint32_t sizes[][2] = {{8, 8},  {8192, 8},  {8, 8192},
                                        {9, 13}, {1000, 37}, {513, 511}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (uint64_t seed = 0; seed < 6; seed++) {
            struct render_request request;
            render_request_init(&request);
            request.seed = seed;
            request.width = sizes[i][0];
            request.height = sizes[i][1];
            struct render_image file = draw(&request);
            struct codec_image image;
            CHECK_OK(codec_image_probe(slice_of(file.bytes, file.length), CODEC_PROBE_CHECK_CRC,
                                       &image, NULL));
            CHECK_UINT(image.damage, ==, 0);
            CHECK_UINT(image.width, ==, request.width);
            CHECK_UINT(image.height, ==, request.height);
            render_image_free(&file);
        }
    }
}

static void check_refused(const struct render_request *request, const char *field)
{
    struct render_image image;
    struct jini_error error;
    char *text;
    uint8_t pixel[3];
    CHECK_STATUS(render_image(request, &image, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, field);
    CHECK(error.message[0] != '\0');
    CHECK(image.bytes == NULL && image.length == 0);
    CHECK_STATUS(render_image(request, &image, NULL), JINI_E_INVALID);
    CHECK_STATUS(render_pixels(request, pixel, &error), JINI_E_INVALID);
    CHECK_STATUS(render_infotext(request, &text, &error), JINI_E_INVALID);
}

TEST(bad_requests_are_refused, "Each member out of its range is named.")
{
    struct render_request base;
    render_request_init(&base);
    struct render_request request = base;
    request.width = 7;
    check_refused(&request, "width");
    request = base;
    request.height = 8193;
    check_refused(&request, "height");
    request = base;
    request.steps = 0;
    check_refused(&request, "steps");
    static const char *const broken[] = {"\xff",
                                         "a\xc3",
                                         "\xc0\x80",
                                         "\xed\xa0\x80",
                                         "\xf4\x90\x80\x80",
                                         "\xe0\x80\x80",
                                         "\xf8\x88\x80\x80\x80"};
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        request = base;
        request.prompt = broken[i];
        check_refused(&request, "prompt");
    }
    request = base;
    request.negative = NULL;
    check_refused(&request, "negative");
    request = base;
    request.model = "";
    check_refused(&request, "model");
    char *text = malloc(RENDER_TEXT_BYTES_MAX + 2);
    CHECK(text != NULL);
    memset(text, 'a', RENDER_TEXT_BYTES_MAX + 1);
    text[RENDER_TEXT_BYTES_MAX + 1] = '\0';
    request = base;
    request.prompt = text;
    check_refused(&request, "prompt");
    free(text);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_HEAP 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OWN_HEAP 0
#endif
#endif
#ifndef OWN_HEAP
#define OWN_HEAP 1
#endif

#if OWN_HEAP
/* The heap of this whole program, libpng and zlib included, with an allocation that fails. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *pointer, size_t size);

#define SEEN_BY_LIBRARIES __attribute__((visibility("default")))

static _Atomic long allocations_left;

static bool allocation_fails(void)
{
    return atomic_load(&allocations_left) > 0 && atomic_fetch_sub(&allocations_left, 1) == 1;
}

SEEN_BY_LIBRARIES void *malloc(size_t size)
{
    return allocation_fails() ? NULL : __libc_malloc(size);
}

SEEN_BY_LIBRARIES void *calloc(size_t count, size_t size)
{
    return allocation_fails() ? NULL : __libc_calloc(count, size);
}

SEEN_BY_LIBRARIES void *realloc(void *pointer, size_t size)
{
    return allocation_fails() ? NULL : __libc_realloc(pointer, size);
}
#endif

TEST(no_memory_is_an_error,
     "Each allocation that fails, in libpng and zlib too, ends the call with E_NO_MEMORY.")
{
#if OWN_HEAP
    struct render_request request;
    render_request_init(&request);
    request.width = 40;
    request.height = 30;
    long nth = 1;
    for (;; nth++) {
        struct render_image image;
        struct jini_error error;
        atomic_store(&allocations_left, nth);
        int status = render_image(&request, &image, &error);
        bool failed = atomic_exchange(&allocations_left, 0) == 0;
        if (!failed) {
            CHECK_OK(status);
            render_image_free(&image);
            break;
        }
        CHECK_STATUS(status, JINI_E_NO_MEMORY);
        CHECK_INT(error.code, ==, JINI_E_NO_MEMORY);
        CHECK(image.bytes == NULL);
    }
    CHECK_INT(nth, >, 10);
#else
    harness_skip("the sanitizer has the heap");
#endif
}
