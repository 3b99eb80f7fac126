/* What flexbench prints: one object for programs, a few lines for people, and where the processors' time
 * went (tools/bench/bench.h; interfaces: flexbench).
 *
 * The table of stages has three parts that each sum to what stands under them: threads by name, which are
 * all the CPU time of the validators and of flexbench; the stages that a node counts itself (/metrics,
 * flexd_stage_us), where it does; and the machine's processors, busy or idle, by /proc/stat. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "tools/bench/bench.h"

/* --- figures ------------------------------------------------------------------------------------ */

static int compare_u64(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static bool counts(const struct bench_transaction *item, const struct bench_run *run)
{
    return item->final_ns != 0 && item->status == CONTRACT_OK &&
           item->final_ns >= run->count_from_ns && item->final_ns < run->count_until_ns;
}

bool bench_report_rates(struct bench_figures *out, const struct bench_list *list,
                        const struct bench_run *run)
{
    const double seconds = (double)(run->count_until_ns - run->count_from_ns) * 1e-9;
    uint64_t *times = calloc(list->count + 1, sizeof times[0]);
    uint32_t found = 0;
    uint64_t actions = 0;
    if (times == NULL)
        return false;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct bench_transaction *item = &list->items[i];
        if (!counts(item, run))
            continue;
        times[found++] = item->final_ns - item->posted_ns;
        actions += item->actions;
    }
    qsort(times, found, sizeof times[0], compare_u64);
    out->transactions_s = found / seconds;
    out->actions_s = (double)actions / seconds;
    out->p50_ms = found > 0 ? (double)times[found / 2] * 1e-6 : 0;
    out->p99_ms = found > 0 ? (double)times[found - 1 - found / 100] * 1e-6 : 0;
    free(times);
    return true;
}

/* --- report ------------------------------------------------------------------------------------- */

static void add_fixed(struct cJSON *object, const char *key, double value, int digits)
{
    char text[64];
    snprintf(text, sizeof text, "%.*f", digits, value);
    cJSON_AddRawToObject(object, key, text);
}

/* What every mode's object begins with (interfaces: flexbench). */
static struct cJSON *begin_json(const struct bench_options *options,
                                const struct bench_figures *figures, int64_t anon_kb,
                                int64_t mapped_kb)
{
    struct cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "mode", bench_mode_names[options->mode]);
    json_add_u32(object, "validators", options->validators);
    json_add_u32(object, "cores", (uint32_t)sysconf(_SC_NPROCESSORS_ONLN));
    add_fixed(object, "tx_per_s", figures->transactions_s, 1);
    add_fixed(object, "actions_per_s", figures->actions_s, 1);
    struct cJSON *latency = cJSON_AddObjectToObject(object, "latency_ms");
    add_fixed(latency, "p50", figures->p50_ms, 2);
    add_fixed(latency, "p99", figures->p99_ms, 2);
    const double bound = bench_bound_s(options, figures->verify_us);
    add_fixed(object, "verify_us", figures->verify_us, 2);
    add_fixed(object, "signature_bound_tx_per_s", bound, 1);
    add_fixed(object, "ratio", figures->transactions_s / bound, 4);
    add_fixed(object, "anon_mb_max", (double)anon_kb / 1024, 1);
    add_fixed(object, "mapped_mb_max", (double)mapped_kb / 1024, 1);
    add_fixed(object, "ledger_bytes_per_tx", figures->bytes_per_transaction, 1);
    return object;
}

static void end_json(struct cJSON *object)
{
    char *text = cJSON_PrintUnformatted(object);
    if (text != NULL)
        puts(text);
    cJSON_free(text);
    cJSON_Delete(object);
}

static void print_common(const struct bench_options *options, const struct bench_figures *figures,
                         int64_t anon_kb, int64_t mapped_kb)
{
    const double bound = bench_bound_s(options, figures->verify_us);
    printf("%s, %u validators, %ld processors\n", bench_mode_names[options->mode],
           options->validators, sysconf(_SC_NPROCESSORS_ONLN));
    printf("  transactions a second   %10.1f\n", figures->transactions_s);
    printf("  actions a second        %10.1f\n", figures->actions_s);
    printf("  latency p50, p99        %10.1f %.1f ms\n", figures->p50_ms, figures->p99_ms);
    printf("  one signature           %10.1f us -> bound %.0f a second, ratio %.3f\n",
           figures->verify_us, bound, figures->transactions_s / bound);
    printf("  memory of a validator   %10.1f MB anonymous, %.1f MB mapped\n",
           (double)anon_kb / 1024, (double)mapped_kb / 1024);
    printf("  disk                    %10.0f bytes a transaction\n",
           figures->bytes_per_transaction);
}

double bench_bound_s(const struct bench_options *options, double verify_us)
{
    return (double)sysconf(_SC_NPROCESSORS_ONLN) * 1e6 / (options->validators * verify_us);
}

void bench_report_load(const struct bench_options *options, const struct bench_figures *figures,
                       const struct bench_run *run)
{
    if (!options->json) {
        print_common(options, figures, run->anon_kb_max, run->mapped_kb_max);
        printf("  CPU of a validator      %10.1f percent of a processor, %.1f us a transaction\n",
               100 * figures->validator_cpu, figures->validator_us);
        printf("  links of a validator    %10.0f bytes sent a transaction\n",
               figures->sent_per_transaction);
        printf("  carried out %u, failed %u, refused %u, unfinished %u; %u proofs checked\n",
               run->final_ok, run->final_failed, run->refused, run->unfinished, figures->proofs);
        return;
    }
    struct cJSON *object = begin_json(options, figures, run->anon_kb_max, run->mapped_kb_max);
    add_fixed(object, "validator_cpu", figures->validator_cpu, 4);
    add_fixed(object, "validator_us_per_tx", figures->validator_us, 1);
    add_fixed(object, "sent_bytes_per_tx", figures->sent_per_transaction, 0);
    json_add_u32(object, "ok", run->final_ok);
    json_add_u32(object, "failed", run->final_failed);
    json_add_u32(object, "refused", run->refused);
    json_add_u32(object, "unfinished", run->unfinished);
    json_add_u32(object, "proofs_checked", figures->proofs);
    end_json(object);
}

/* --- meters ------------------------------------------------------------------------------------- */

static void meters_json(const struct bench_options *options, const struct bench_figures *figures,
                        const struct bench_meter *meter)
{
    struct cJSON *object = begin_json(options, figures, meter->anon_kb_max, meter->mapped_kb_max);
    json_add_u32(object, "meters", options->meters);
    json_add_u32(object, "devices", options->devices);
    json_add_u32(object, "quarters", options->quarters);
    json_add_u64(object, "readings", meter->readings);
    json_add_u64(object, "fingerprints", meter->fingerprints);
    json_add_u64(object, "transactions", meter->transactions);
    add_fixed(object, "chain_bytes_per_reading",
              (double)meter->transaction_bytes / (double)meter->readings, 4);
    json_add_u64(object, "proofs_checked", meter->proofs);
    add_fixed(object, "proof_bytes", (double)meter->proof_bytes / (double)meter->proofs, 0);
    struct cJSON *cpu = cJSON_AddObjectToObject(object, "cpu_s");
    add_fixed(cpu, "ingest", meter->ingest_s, 2);
    add_fixed(cpu, "fingerprint", meter->fingerprint_s, 2);
    add_fixed(cpu, "post", meter->post_s, 2);
    add_fixed(cpu, "prove", meter->prove_s, 2);
    add_fixed(cpu, "validators", meter->validators_s, 2);
    add_fixed(object, "idle_share", meter->idle_share, 4);
    add_fixed(object, "quarter_s_max", meter->quarter_s, 1);
    add_fixed(object, "machine_share", meter->share, 4);
    end_json(object);
}

void bench_report_meter(const struct bench_options *options, const struct bench_meter *meter,
                        double verify_us)
{
    const double transactions = meter->transactions > 0 ? (double)meter->transactions : 1;
    const struct bench_figures figures = {
        .verify_us = verify_us,
        .transactions_s = (double)meter->transactions / meter->posting_s,
        .actions_s = (double)meter->fingerprints / meter->posting_s,
        .p50_ms = meter->p50_ms,
        .p99_ms = meter->p99_ms,
        .bytes_per_transaction = (double)meter->disk_bytes / transactions};
    if (options->json) {
        meters_json(options, &figures, meter);
        return;
    }
    const double quarters = options->quarters;
    print_common(options, &figures, meter->anon_kb_max, meter->mapped_kb_max);
    printf("  a quarter hour of %u meters (%u on the ledger), CPU seconds:\n", options->meters,
           options->devices);
    printf("    ingest                %10.2f\n", meter->ingest_s / quarters);
    printf("    fingerprint           %10.2f\n", meter->fingerprint_s / quarters);
    printf("    post                  %10.2f\n", meter->post_s / quarters);
    printf("    prove                 %10.2f\n", meter->prove_s / quarters);
    printf("    all validators        %10.2f, and %.1f idling\n", meter->validators_s / quarters,
           meter->idle_share * BENCH_QUARTER_MS / 1000);
    printf(
        "  %llu readings, %llu fingerprints in %llu transactions, %llu proofs of %.0f bytes; %.1f "
        "s of the clock\n",
        (unsigned long long)meter->readings, (unsigned long long)meter->fingerprints,
        (unsigned long long)meter->transactions, (unsigned long long)meter->proofs,
        (double)meter->proof_bytes / (double)meter->proofs, meter->quarter_s);
    printf("  share of the machine    %10.2f percent\n", 100 * meter->share);
}

/* --- where the time went ------------------------------------------------------------------------ */

double bench_stage_s(const struct bench_stages *stages, const char *name)
{
    for (uint32_t i = 0; i < stages->count; i++)
        if (strcmp(stages->stages[i].name, name) == 0)
            return stages->stages[i].seconds;
    return 0;
}

/* The rows and their sum. */
static double print_rows(FILE *out, const struct bench_stages *before,
                         const struct bench_stages *after, double seconds)
{
    double sum = 0;
    for (uint32_t i = 0; i < after->count; i++) {
        const double spent =
            after->stages[i].seconds - bench_stage_s(before, after->stages[i].name);
        sum += spent;
        fprintf(out, "  %-20s %7.1f\n", after->stages[i].name, 100 * spent / seconds);
    }
    fprintf(out, "  %-20s %7.1f\n", "= together", 100 * sum / seconds);
    return sum;
}

double bench_sample_seconds(const struct bench_sample *before, const struct bench_sample *after)
{
    return (double)(after->taken_ns - before->taken_ns) * 1e-9;
}

void bench_report_stages(FILE *out, const struct bench_sample *before,
                         const struct bench_sample *after)
{
    const double seconds = bench_sample_seconds(before, after);
    fprintf(out, "CPU by thread, all validators together, in percent of one processor:\n");
    (void)print_rows(out, &before->threads, &after->threads, seconds);
    fprintf(out, "  %-20s %7.1f\n", "processes, as counted",
            100 * (after->processes_s - before->processes_s) / seconds);
    const double busy = after->busy_s - before->busy_s;
    const double ours = after->processes_s - before->processes_s;
    const double idle = after->idle_s - before->idle_s;
    fprintf(out, "the machine: %.1f these processes, %.1f others and the kernel, %.1f idle\n",
            100 * ours / seconds, 100 * (busy - ours) / seconds, 100 * idle / seconds);
    if (after->stages.count > 0) {
        fprintf(out, "stages as the validators count them, in percent of one processor:\n");
        (void)print_rows(out, &before->stages, &after->stages, seconds);
    }
}
