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

enum { PATH_SIZE = 512, DEPTH_MAX = 8, METRICS_ROOM = 1024 * 1024 };

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

uint32_t bench_sample_descriptors(const struct bench_world *world)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < world->options->validators; i++) {
        char path[PATH_SIZE];
        uint32_t count = 0;
        snprintf(path, sizeof path, "/proc/%d/fd",
                 (int)devnet_pid(&world->devnet, &world->devnet.nodes[i]));
        DIR *opened = opendir(path);
        while (opened != NULL && readdir(opened) != NULL)
            count++;
        if (opened != NULL)
            closedir(opened);
        most = count > most ? count : most;
    }
    return most;
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

double bench_sample_validators_s(const struct bench_world *world)
{
    double sum = 0;
    for (uint32_t i = 0; i < world->options->validators; i++) {
        char path[PATH_SIZE];
        char text[1024];
        struct bench_stages one = {0};
        snprintf(path, sizeof path, "/proc/%d/stat",
                 (int)devnet_pid(&world->devnet, &world->devnet.nodes[i]));
        if (read_small(text, sizeof text, path))
            add_thread(&one, text);
        sum += one.count > 0 ? one.stages[0].seconds : 0;
    }
    return sum;
}

/* The first line of /proc/stat: user nice system idle iowait irq softirq steal, in ticks. */
static void sample_machine(struct bench_sample *out)
{
    char text[1024];
    unsigned long long ticks[8] = {0};
    const double tick = (double)sysconf(_SC_CLK_TCK);
    if (!read_small(text, sizeof text, "/proc/stat") ||
        sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &ticks[0], &ticks[1], &ticks[2],
               &ticks[3], &ticks[4], &ticks[5], &ticks[6], &ticks[7]) != 8)
        return;
    out->busy_s = (double)(ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6] + ticks[7]) / tick;
    out->idle_s = (double)(ticks[3] + ticks[4]) / tick;
}

/* One line of /metrics. */
static void take_metric(struct bench_sample *out, const char *line)
{
    static const char stage[] = "flexd_stage_us{stage=\"";
    static const char sent[] = "flexd_frame_bytes_sent ";
    char name[BENCH_STAGE_NAME] = "";
    if (strncmp(line, stage, sizeof stage - 1) == 0) {
        const char *from = line + sizeof stage - 1;
        const size_t length = strcspn(from, "\"\n");
        const char *value = strchr(from, '}');
        if (length < sizeof name && value != NULL) {
            memcpy(name, from, length);
            add_stage(&out->stages, name, (double)strtoull(value + 1, NULL, 10) * 1e-6);
        }
    } else if (strncmp(line, sent, sizeof sent - 1) == 0) {
        out->sent_bytes += (double)strtoull(line + sizeof sent - 1, NULL, 10);
    }
}

static void sample_metrics(const struct bench_world *world, struct bench_sample *out)
{
    for (uint32_t i = 0; i < world->options->validators; i++) {
        struct bench_http http;
        if (!bench_http_open(&http, world->devnet.nodes[i].api_port, METRICS_ROOM, true))
            continue;
        if (bench_http_get(&http, "/metrics") == 200 && http.body + http.length < http.room) {
            http.bytes[http.body + http.length] = '\0';
            for (const char *line = (const char *)http.bytes + http.body; line != NULL;) {
                take_metric(out, line);
                line = strchr(line, '\n');
                line = line != NULL ? line + 1 : NULL;
            }
        }
        bench_http_close(&http);
    }
}

void bench_sample_take(const struct bench_world *world, struct bench_sample *out)
{
    struct timespec own;
    memset(out, 0, sizeof *out);
    out->taken_ns = bench_now_ns();
    sample_metrics(world, out);
    for (uint32_t i = 0; i < world->options->validators; i++)
        add_process(&out->threads, devnet_pid(&world->devnet, &world->devnet.nodes[i]));
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    const double flexbench = (double)own.tv_sec + (double)own.tv_nsec * 1e-9;
    add_stage(&out->threads, "flexbench", flexbench);
    out->processes_s = bench_sample_validators_s(world) + flexbench;
    sample_machine(out);
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
