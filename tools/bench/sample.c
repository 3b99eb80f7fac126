/* What the system says of the processes under load (tools/bench/bench.h): /proc, and files on disk. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fatal.h"
#include "tools/bench/bench.h"

enum { PATH_SIZE = 512, DEPTH_MAX = 8 };

/* --- memory ------------------------------------------------------------------------------------- */

static int64_t status_kb(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    return at != NULL ? strtoll(at + strlen(key), NULL, 10) : 0;
}

static bool read_small(char *out, size_t size, const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    size_t got = fread(out, 1, size - 1, file);
    out[got] = '\0';
    (void)fclose(file);
    return got > 0;
}

void bench_sample_memory(const struct bench_world *world, int64_t *anon_kb, int64_t *mapped_kb)
{
    *anon_kb = 0;
    *mapped_kb = 0;
    for (uint32_t i = 0; i < world->options->validators; i++) {
        char path[PATH_SIZE];
        char text[4096];
        snprintf(path, sizeof path, "/proc/%d/status",
                 (int)devnet_pid(&world->devnet, &world->devnet.nodes[i]));
        if (!read_small(text, sizeof text, path))
            continue;
        int64_t anon = status_kb(text, "RssAnon:");
        int64_t mapped = status_kb(text, "RssFile:") + status_kb(text, "RssShmem:");
        *anon_kb = anon > *anon_kb ? anon : *anon_kb;
        *mapped_kb = mapped > *mapped_kb ? mapped : *mapped_kb;
    }
}

/* --- disk --------------------------------------------------------------------------------------- */

static int64_t bytes_below(const char *directory, int depth)
{
    int64_t sum = 0;
    DIR *opened = opendir(directory);
    if (opened == NULL)
        return 0;
    for (struct dirent *entry = readdir(opened); entry != NULL; entry = readdir(opened)) {
        char path[PATH_SIZE];
        struct stat info;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            snprintf(path, sizeof path, "%s/%s", directory, entry->d_name) >= (int)sizeof path ||
            lstat(path, &info) != 0)
            continue;
        if (S_ISDIR(info.st_mode) && depth > 0)
            sum += bytes_below(path, depth - 1);
        else if (S_ISREG(info.st_mode))
            sum += (int64_t)info.st_blocks * 512;
    }
    closedir(opened);
    return sum;
}

int64_t bench_sample_disk(const struct bench_world *world)
{
    char home[FILES_PATH_SIZE];
    devnet_node_home(home, &world->devnet, &world->devnet.nodes[0]);
    return bytes_below(home, DEPTH_MAX);
}

/* --- CPU time ----------------------------------------------------------------------------------- */

static void add_stage(struct bench_stages *out, const char *name, double seconds)
{
    for (uint32_t i = 0; i < out->count; i++) {
        if (strcmp(out->stages[i].name, name) == 0) {
            out->stages[i].seconds += seconds;
            return;
        }
    }
    if (out->count == BENCH_STAGES_MAX)
        return;
    struct bench_stage *stage = &out->stages[out->count++];
    snprintf(stage->name, sizeof stage->name, "%s", name);
    stage->seconds = seconds;
}

/* One line of /proc/PID/task/TID/stat: "TID (name) state ..."; user and system time are the 14th and
 * 15th field. */
static void add_thread(struct bench_stages *out, const char *stat)
{
    char name[BENCH_STAGE_NAME + 1] = "";
    const char *open = strchr(stat, '(');
    const char *close = strrchr(stat, ')');
    unsigned long user = 0;
    unsigned long system = 0;
    if (open == NULL || close == NULL || close <= open ||
        sscanf(close + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) !=
            2)
        return;
    snprintf(name, sizeof name, "%.*s", (int)(close - open - 1), open + 1);
    name[strcspn(name, "0123456789")] = '\0'; /* the third of four workers is a worker */
    add_stage(out, name, (double)(user + system) / (double)sysconf(_SC_CLK_TCK));
}

static void add_process(struct bench_stages *out, pid_t pid)
{
    char path[PATH_SIZE];
    char text[1024];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *opened = opendir(path);
    if (opened == NULL)
        return;
    for (struct dirent *entry = readdir(opened); entry != NULL; entry = readdir(opened)) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%.32s/stat", (int)pid, entry->d_name);
        if (read_small(text, sizeof text, path))
            add_thread(out, text);
    }
    closedir(opened);
}

void bench_sample_stages(const struct bench_world *world, struct bench_stages *out)
{
    struct timespec own;
    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i < world->options->validators; i++)
        add_process(out, devnet_pid(&world->devnet, &world->devnet.nodes[i]));
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    add_stage(out, "flexbench", (double)own.tv_sec + (double)own.tv_nsec * 1e-9);
}

/* --- signatures --------------------------------------------------------------------------------- */

double bench_verify_us(const struct bench_list *list, uint32_t count)
{
    struct timespec before;
    struct timespec after;
    uint32_t done = 0;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    for (; done < count && done < list->count; done++) {
        const struct bench_transaction *item = &list->items[done];
        const uint8_t *body = memmem(item->request, item->size, "\r\n\r\n", 4);
        struct transaction transaction;
        MUST(body != NULL);
        const size_t size = item->size - (size_t)(body + 4 - item->request);
        MUST(transaction_decode(&transaction, bytes_view_of(body + 4, size)) == CONTRACT_OK);
        MUST(transaction_signature_is_valid(&transaction));
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    double us = (double)(after.tv_sec - before.tv_sec) * 1e6 +
                (double)(after.tv_nsec - before.tv_nsec) * 1e-3;
    return done > 0 ? us / done : 0;
}
