/* One run: set-up, the loop over events, the verdict. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "tools/sim/guard.h"
#include "tools/sim/persona.h"
#include "tools/sim/sim_internal.h"

static void open_nodes(struct sim *sim)
{
    bool observer = !sim_campaign_is_on(sim) && sim_chance(sim, 250);
    sim->keyed = sim->config.validators;
    sim->faults_max = (sim->keyed - 1) / 3;
    if (sim->changes_set && !sim->config.upgrade)
        sim_governance_plan(sim);
    sim->node_count = sim->keyed + (observer ? 1 : 0);
    for (uint32_t i = 0; i < sim->node_count; i++)
        sim->nodes[i].slot = (int)i;
    if (observer)
        sim->nodes[sim->keyed].validator = -1;
    if (sim_campaign_is_on(sim))
        sim_campaign_plan(sim);
    else
        sim_weather_plan(sim);
    sim_upgrade_plan(sim);
    for (uint32_t i = 0; i < sim->node_count; i++) {
        struct sim_node *node = &sim->nodes[i];
        node->disk = sim_disk_new();
        sim_store_open(sim, &node->store, (int)i);
    }
}

/* Chosen by the seed itself, so that whether sets change leaves the chances of a run as they are. */
static bool sets_change(const struct sim_config *config)
{
    if (config->upgrade)
        return true; /* somebody must vote */
    if (config->twins_rounds > 0)
        return false;
    switch (config->epochs) {
    case SIM_EPOCHS_RANDOM:
        return config->seed % 11 == 3;
    case SIM_EPOCHS_NONE:
        return false;
    case SIM_EPOCHS_ALWAYS:
    case SIM_EPOCHS_TOUR:
        return true;
    case SIM_EPOCHS_COUNT:
        break;
    }
    MUST(!"epochs of a configuration");
    return false;
}

static struct sim *open_run(const struct sim_config *config, struct sim_result *result)
{
    struct sim *sim = calloc(1, sizeof *sim);
    MUST(sim != NULL);
    sim->config = *config;
    sim->result = result;
    /* Equal seeds of different scenarios mean different delays. */
    sim_random_seed(&sim->random,
                    config->seed + config->twins_index * UINT64_C(0x9E3779B97F4A7C15));
    sim->changes_set = sets_change(config);
    sim_keys_prepare(sim);
    hash_begin(&sim->digest, HASH_DOMAIN_LOG_LEAF);
    sim->finals = calloc(SIM_HEIGHTS_MAX, sizeof *sim->finals);
    sim->tx_seen = calloc(8192, sizeof *sim->tx_seen);
    MUST(sim->finals != NULL && sim->tx_seen != NULL);
    sim->finals[0].id = sim->genesis_id;
    sim_audit_open(sim);
    sim_epochs_open(sim);
    open_nodes(sim);
    return sim;
}

static void close_run(struct sim *sim)
{
    sim_queue_free(sim);
    sim_network_free(sim);
    for (uint32_t i = 0; i < sim->node_count; i++) {
        struct sim_node *node = &sim->nodes[i];
        if (node->up)
            sim_node_free(node);
        sim_disk_free(node->disk);
        sim_disk_free(node->backup);
        sim_store_free(&node->store);
        for (uint32_t e = 0; e < sim->epoch_count; e++)
            free(node->ballots[e]);
    }
    for (uint64_t h = 1; h <= sim->final_count; h++) {
        free(sim->finals[h].body);
        free(sim->finals[h].kept);
    }
    sim_audit_free(sim);
    sim_epochs_free(sim);
    free(sim->finals);
    free(sim->tx_seen);
    free(sim);
}

static void handle(struct sim *sim, const struct sim_event *event)
{
    switch (event->kind) {
    case SIM_EVENT_FRAME:
    case SIM_EVENT_TICK:
    case SIM_EVENT_SETTLE:
    case SIM_EVENT_PEER_UP:
    case SIM_EVENT_ACT:
        sim_node_event(sim, event);
        break;
    case SIM_EVENT_START:
        if (!sim->nodes[event->node].up && !sim->nodes[event->node].gone)
            sim_node_start(sim, &sim->nodes[event->node]);
        break;
    case SIM_EVENT_KILL:
        if (sim->nodes[event->node].up)
            sim_node_stop(sim, &sim->nodes[event->node], event->number);
        break;
    case SIM_EVENT_WALLET:
        sim_client_act(sim, (uint32_t)event->number);
        break;
    case SIM_EVENT_GOVERN:
        sim_governance_act(sim, (uint32_t)event->number);
        break;
    case SIM_EVENT_WEATHER:
        sim_weather_change(sim);
        break;
    case SIM_EVENT_POWER:
        sim_weather_power(sim, event->number);
        break;
    case SIM_EVENT_CALAMITY:
        sim_weather_calamity(sim, event);
        break;
    case SIM_EVENT_LEAP:
        sim_story(sim, NULL, "all clocks leap");
        sim->leap_ms = (int64_t)event->number;
        break;
    case SIM_EVENT_HEAL:
        if (!sim->weather.healed)
            sim_weather_heal(sim);
        break;
    }
}

static void say_what_is_stuck(struct sim *sim)
{
    char who[64] = "";
    for (uint32_t i = 0; i < sim->node_count; i++) {
        const struct sim_node *node = &sim->nodes[i];
        size_t length = strlen(who);
        if (sim_node_is_honest(node) && length + 12 < sizeof who)
            (void)snprintf(who + length, sizeof who - length, " %llu",
                           (unsigned long long)node->store.tip.height);
    }
    sim_fail(sim, SIM_LIVENESS, "no progress within %llu ms of healing: goal %llu, heights%s%s%s",
             (unsigned long long)sim_oracle_bound_ms(sim), (unsigned long long)sim->goal, who,
             sim->probe_done ? "" : ", probe not included",
             sim_governance_is_done(sim)
                 ? ""
                 : ", the set, or the rules, are not what the governors want");
}

static void loop(struct sim *sim)
{
    uint64_t height = 0;
    struct sim_event event;
    while (!sim_failed(sim) && sim_next(sim, &event)) {
        sim->now_ms = event.at_ms;
        sim->result->events++;
        handle(sim, &event);
        sim_frame_release(event.frame);
        sim_campaign_watch(sim);
        if (sim->weather.healed && sim->final_count > height) {
            height = sim->final_count;
            sim_client_probe(sim);
        }
        if (sim_oracle_reached(sim) && !sim_upgrade_releases(sim)) {
            sim->result->healed_ms = sim->now_ms - sim->gst_ms;
            return;
        }
        if (sim->now_ms > sim->gst_ms + sim_oracle_bound_ms(sim))
            say_what_is_stuck(sim);
        else if (sim->result->events > SIM_EVENTS_MAX)
            sim_fail(sim, SIM_LIVENESS, "a storm: %llu events", (unsigned long long)SIM_EVENTS_MAX);
    }
    if (!sim_failed(sim))
        sim_fail(sim, SIM_LIVENESS, "nothing is left to happen");
}

struct run {
    const struct sim_config *config;
    struct sim_result *result;
};

static void run_guarded(void *context)
{
    struct run *run = context;
    struct sim *sim = open_run(run->config, run->result);
    if (sim->changes_set)
        sim_governance_begin(sim);
    for (uint32_t i = 0; i < sim->node_count; i++) {
        struct sim_event event = {.kind = SIM_EVENT_START, .node = (int)i, .peer = -1};
        sim_at(sim, sim->nodes[i].starts_ms + sim_below(sim, 20), &event);
    }
    sim_client_plan(sim);
    loop(sim);
    if (!sim_failed(sim))
        sim_oracle_end(sim);
    hash_end(&sim->digest, &run->result->digest);
    close_run(sim);
}

void sim_run(const struct sim_config *config, struct sim_result *result)
{
    struct run run = {config, result};
    struct sim_guard_report report;
    memset(result, 0, sizeof *result);
    if (sim_guard(run_guarded, &run, &report))
        return;
    result->outcome = report.safety ? SIM_SAFETY : SIM_CRASH;
    (void)snprintf(result->failure, sizeof result->failure, "%s", report.what);
    hash_bytes(&result->digest, HASH_DOMAIN_LOG_LEAF, report.what, strlen(report.what));
}

static const char *const epochs_names[SIM_EPOCHS_COUNT] = {"random", "none", "always", "tour"};

enum sim_epochs sim_epochs_by_name(const char *name)
{
    int i = 0;
    while (i < SIM_EPOCHS_COUNT && strcmp(epochs_names[i], name) != 0)
        i++;
    return (enum sim_epochs)i;
}

const char *sim_epochs_name(enum sim_epochs epochs)
{
    MUST(epochs < SIM_EPOCHS_COUNT);
    return epochs_names[epochs];
}
