/* flexclear: clearing without a ledger (docs/spec/clearing.md). Reads one problem, prints one result;
 * runs the very code that the contracts run.
 *
 * Exit 0; 2 bad usage or input, with "flexclear: WHERE: WHAT" on stderr and nothing on stdout; 4 a
 * result that is not what the rules give. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "solver/solver.h"
#include "tools/clear/coupled_text.h"

enum { EXIT_DONE = 0, EXIT_INPUT = 2, EXIT_UNPROVEN = 4, READ_STEP = 65536 };
enum { WINDOW_SECONDS_DEFAULT = 10, WINDOW_SECONDS_MAX = SOLVER_WINDOW_MS_MAX / 1000 };

static const char usage[] =
    "usage: flexclear [--window SECONDS] [FILE]\n"
    "       flexclear --verify PROBLEM RESULT\n"
    "Reads one clearing problem (standard input without FILE) and prints its result.\n"
    "--window: how long a solver may better a coupled auction (10; 0 asks none)\n"
    "--verify checks a result in exact integers, without any solver.\n"
    "Formats: docs/spec/clearing.md, docs/spec/coupled.md\n"
    "Exit: 0 done; 2 bad usage or input; 4 the result is not what the rules give.\n";

/* What names a place may be a key of the input, and must neither break the line nor steer a terminal. */
static void print_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        fputc(*text < ' ' || *text > '~' ? '?' : *text, stderr);
    }
}

static int complain(const char *where, const char *what, int code)
{
    fputs("flexclear: ", stderr);
    print_plain(where);
    fputs(": ", stderr);
    print_plain(what);
    fputc('\n', stderr);
    return code;
}

/* All of a file within the limit of the JSON reader; "-" is standard input. NULL with the reason. */
static char *read_all(const char *path, size_t *size, const char **what)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "rb");
    char *text = NULL;
    size_t room = 0;
    *size = 0;
    *what = NULL;
    if (file == NULL) {
        *what = strerror(errno);
        return NULL;
    }
    while (*what == NULL && feof(file) == 0) {
        if (room - *size < READ_STEP) {
            size_t more = 2 * room + 2 * (size_t)READ_STEP;
            char *grown = realloc(text, more);
            if (grown == NULL) {
                *what = "out of memory";
                break;
            }
            text = grown;
            room = more;
        }
        *size += fread(text + *size, 1, READ_STEP, file);
        if (ferror(file) != 0) {
            *what = strerror(errno);
        } else if (*size > clear_text_size_max) {
            *what = "longer than 256 MiB";
        }
    }
    if (!standard) {
        fclose(file);
    }
    if (*what != NULL) {
        free(text);
        return NULL;
    }
    return text;
}

static int print_one(const char *json, size_t size)
{
    bool written = fwrite(json, 1, size, stdout) == size && fflush(stdout) == 0;
    return written ? EXIT_DONE : complain("standard output", strerror(errno), EXIT_INPUT);
}

/* `right` is our own result of the problem; a coupled problem has none, and is checked instead. */
static int verify_one(const struct clear_text *text, const char *right, size_t right_size,
                      const char *path)
{
    struct clear_text_fault fault;
    const char *what;
    size_t size;
    char *result = read_all(path, &size, &what);
    if (result == NULL) {
        return complain(path, what, EXIT_UNPROVEN);
    }
    bool good = text->coupled != NULL ? coupled_text_verify(text, result, size, &fault)
                                      : clear_text_verify(right, right_size, result, size, &fault);
    free(result);
    return good ? EXIT_DONE : complain(fault.where, fault.what, EXIT_UNPROVEN);
}

/* A problem that is none must be told from a result that is none. */
static bool check_coupled(const struct clear_text *text, struct clear_text_fault *fault)
{
    struct coupled_fault refused;
    struct clear_arena arena = {0};
    arena.size = coupled_arena_bytes(&text->coupled->problem);
    arena.bytes = malloc(arena.size);
    bool good = arena.bytes != NULL || clear_text_fail(fault, "out of memory", "problem");
    if (good && coupled_prepare(&text->coupled->problem, &refused, &arena) == NULL) {
        good = coupled_text_refused(&refused, fault);
    }
    free(arena.bytes);
    return good;
}

/* Clears the problem at hand and prints the result, or verifies the one at `verify`. */
static int run(const char *problem, size_t problem_size, const char *verify, uint32_t window_ms)
{
    struct clear_text text;
    struct clear_text_fault fault;
    size_t size = 0;
    char *json = NULL;
    int code = EXIT_INPUT;
    bool good = clear_text_read(&text, problem, problem_size, &fault);
    bool coupled = good && text.coupled != NULL;
    if (coupled && verify != NULL) {
        good = check_coupled(&text, &fault);
    } else if (good) {
        json = coupled ? coupled_text_run(&text, window_ms, &size, &fault)
                       : clear_text_run(&text, &size, &fault);
        good = json != NULL;
    }
    if (!good) {
        complain(fault.where, fault.what, EXIT_INPUT);
    } else {
        code = verify != NULL ? verify_one(&text, json, size, verify) : print_one(json, size);
    }
    free(json);
    clear_text_free(&text);
    return code;
}

int main(int argc, char **argv)
{
    bool verify = argc == 4 && strcmp(argv[1], "--verify") == 0;
    uint64_t seconds = WINDOW_SECONDS_DEFAULT;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return EXIT_DONE;
    }
    bool usable = true;
    if (!verify && argc >= 3 && strcmp(argv[1], "--window") == 0) {
        usable = uint64_from_text(&seconds, argv[2]) && seconds <= WINDOW_SECONDS_MAX;
        argv += 2;
        argc -= 2;
    }
    if (!usable ||
        (!verify && (argc > 2 || (argc == 2 && argv[1][0] == '-' && argv[1][1] != '\0')))) {
        fputs(usage, stderr);
        return EXIT_INPUT;
    }
    const char *path = verify ? argv[2] : (argc == 2 ? argv[1] : "-");
    const char *what;
    size_t size;
    char *problem = read_all(path, &size, &what);
    if (problem == NULL) {
        return complain(strcmp(path, "-") == 0 ? "standard input" : path, what, EXIT_INPUT);
    }
    int code = run(problem, size, verify ? argv[3] : NULL, (uint32_t)seconds * 1000);
    free(problem);
    return code;
}
