/* Clears a problem and writes its result, "flexclear-result/1" (docs/spec/clearing.md), as one line
 * of JSON. Nothing leaves before all of it is computed, so that a fault leaves no half result.
 *
 * What each mechanism's result has: `price` and `price_interval` only merit order, `trades` and
 * `book` only continuous, `constraint_price` only premium capacity, `certificate` only one-sided. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/clear/clear_problem.h"

struct printer {
    FILE *out;
    const struct clear_text *text;
    const struct clear_problem *problem;
    struct clear_result result;
    struct clear_arena arena;
};

static void print_number(struct printer *printer, int128 value)
{
    char text[INT128_TEXT_SIZE];
    int128_to_text(text, value);
    fprintf(printer->out, "\"%s\"", text);
}

static void print_text(struct printer *printer, const char *text)
{
    putc('"', printer->out);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            putc('\\', printer->out);
        }
        putc(*text, printer->out);
    }
    putc('"', printer->out);
}

static void print_accepted(struct printer *printer)
{
    fputs(",\"accepted\":[", printer->out);
    for (uint32_t i = 0; i < printer->problem->bid_count; i++) {
        fputs(i == 0 ? "{\"id\":" : ",{\"id\":", printer->out);
        print_text(printer, printer->text->bid_id[i]);
        fputs(",\"quantity\":", printer->out);
        print_number(printer, printer->result.accepted[i]);
        putc('}', printer->out);
    }
    putc(']', printer->out);
}

static void print_prices(struct printer *printer)
{
    for (int table = 0; table < 2; table++) {
        const char *comma = "";
        fputs(table == 0 ? ",\"price\":{" : ",\"price_interval\":{", printer->out);
        for (uint32_t slot = 0; slot < printer->problem->slot_count; slot++) {
            const struct clear_slot_price *price = &printer->result.prices[slot];
            if (!price->traded) {
                continue;
            }
            fprintf(printer->out, "%s\"%u\":", comma, (unsigned)printer->text->interval[slot]);
            comma = ",";
            if (table == 0) {
                print_number(printer, price->price);
                continue;
            }
            putc('[', printer->out);
            print_number(printer, price->lower);
            putc(',', printer->out);
            print_number(printer, price->upper);
            putc(']', printer->out);
        }
        putc('}', printer->out);
    }
}

static void print_book(struct printer *printer)
{
    const char *comma = "";
    fputs(",\"trades\":[", printer->out);
    for (uint32_t i = 0; i < printer->result.trade_count; i++) {
        const struct clear_trade *trade = &printer->result.trades[i];
        fputs(i == 0 ? "{\"bid\":" : ",{\"bid\":", printer->out);
        print_text(printer, printer->text->bid_id[trade->bid]);
        fputs(",\"ask\":", printer->out);
        print_text(printer, printer->text->bid_id[trade->ask]);
        fputs(",\"quantity\":", printer->out);
        print_number(printer, trade->quantity);
        fputs(",\"price\":", printer->out);
        print_number(printer, trade->price);
        putc('}', printer->out);
    }
    fputs("],\"book\":[", printer->out);
    for (uint32_t i = 0; i < printer->problem->bid_count; i++) {
        if (printer->result.resting[i] == 0) {
            continue;
        }
        fprintf(printer->out, "%s{\"id\":", comma);
        comma = ",";
        print_text(printer, printer->text->bid_id[i]);
        fputs(",\"quantity\":", printer->out);
        print_number(printer, printer->result.resting[i]);
        putc('}', printer->out);
    }
    putc(']', printer->out);
}

/* `half` 0: import, 1: export. */
static void print_constraints(struct printer *printer, const char *key, size_t half)
{
    const struct clear_problem *problem = printer->problem;
    fprintf(printer->out, ",\"%s\":{", key);
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        const int64_t *price =
            printer->result.constraint_price + (2 * (size_t)slot + half) * problem->node_count;
        fprintf(printer->out, "%s\"%u\":{", slot == 0 ? "" : ",",
                (unsigned)printer->text->interval[slot]);
        for (uint32_t node = 0; node < problem->node_count; node++) {
            fputs(node == 0 ? "" : ",", printer->out);
            print_text(printer, printer->text->node_name[node]);
            putc(':', printer->out);
            print_number(printer, price[node]);
        }
        putc('}', printer->out);
    }
    putc('}', printer->out);
}

static void print_certificate(struct printer *printer)
{
    const struct clear_result *result = &printer->result;
    fputs(",\"certificate\":{\"bound_neur\":", printer->out);
    print_number(printer, result->bound_welfare);
    fputs(",\"gap_neur\":", printer->out);
    print_number(printer, result->bound_welfare - result->welfare);
    fputs(",\"bound_quantity\":", printer->out);
    print_number(printer, result->bound_quantity);
    fputs(",\"gap_quantity\":", printer->out);
    print_number(printer, result->bound_quantity - result->quantity);
    fprintf(printer->out, ",\"proven\":%s}", result->proven ? "true" : "false");
}

static void print_agents(struct printer *printer, const char *key, const int128 *values)
{
    fprintf(printer->out, "\"%s\":{", key);
    for (uint32_t agent = 0; agent < printer->problem->agent_count; agent++) {
        fputs(agent == 0 ? "" : ",", printer->out);
        print_text(printer, printer->text->agent_name[agent]);
        putc(':', printer->out);
        print_number(printer, values[agent]);
    }
    putc('}', printer->out);
}

static bool print_payment(struct printer *printer, enum clear_payment payment,
                          struct clear_text_fault *fault)
{
    struct clear_payment_result paid;
    size_t mark = printer->arena.used;
    if (!clear_pay(&paid, printer->problem, &printer->result, payment, printer->text->seed,
                   &printer->arena)) {
        return clear_text_fail(fault, "the search for what agents reach without others is too long",
                               "payments");
    }
    fprintf(printer->out, "\"%s\":{", clear_payment_names[payment]);
    print_agents(printer, "agents", paid.agent_ueur);
    fputs(",\"balance_ueur\":", printer->out);
    print_number(printer, paid.balance_ueur);
    if (paid.value_neur != NULL) {
        putc(',', printer->out);
        print_agents(printer, "values", paid.value_neur);
    }
    if (paid.estimated) {
        fprintf(printer->out,
                ",\"estimate\":{\"permutations\":\"%d\",\"error_neur\":", CLEAR_PERMUTATIONS);
        print_number(printer, paid.error_neur);
        putc('}', printer->out);
    }
    if (paid.fell_back) {
        fprintf(printer->out, ",\"fallback\":\"%s\"", clear_payment_names[paid.paid]);
    }
    putc('}', printer->out);
    printer->arena.used = mark;
    return true;
}

static bool print_payments(struct printer *printer, struct clear_text_fault *fault)
{
    fputs(",\"payments\":{", printer->out);
    for (uint32_t i = 0; i < printer->text->payment_count; i++) {
        fputs(i == 0 ? "" : ",", printer->out);
        if (!print_payment(printer, printer->text->payments[i], fault)) {
            return false;
        }
    }
    putc('}', printer->out);
    return true;
}

static bool print_excess(struct printer *printer, struct clear_text_fault *fault)
{
    struct clear_excess excess;
    if (!clear_excess_run(&excess, printer->problem, &printer->arena)) {
        return clear_text_fail(fault, "the search for what coalitions reach is too long", "excess");
    }
    fputs(",\"excess\":[", printer->out);
    for (uint32_t set = 1; set < (uint32_t)1 << excess.agent_count; set++) {
        const char *comma = "";
        fputs(set == 1 ? "{\"agents\":[" : ",{\"agents\":[", printer->out);
        for (uint32_t agent = 0; agent < excess.agent_count; agent++) {
            if ((set >> agent & 1) != 0) {
                fputs(comma, printer->out);
                comma = ",";
                print_text(printer, printer->text->agent_name[agent]);
            }
        }
        fputs("],\"excess_neur\":", printer->out);
        print_number(printer, excess.excess_neur[set]);
        putc('}', printer->out);
    }
    putc(']', printer->out);
    return true;
}

static bool print_all(struct printer *printer, struct clear_text_fault *fault)
{
    fputs("{\"format\":\"flexclear-result/1\",\"welfare_neur\":", printer->out);
    print_number(printer, printer->result.welfare);
    fputs(",\"quantity\":", printer->out);
    print_number(printer, printer->result.quantity);
    print_accepted(printer);
    if (printer->result.prices != NULL) {
        print_prices(printer);
    }
    if (printer->result.trades != NULL) {
        print_book(printer);
    }
    if (printer->result.constraint_price != NULL) {
        bool exports = false;
        for (uint32_t i = 0; i < printer->problem->bid_count; i++) {
            exports = exports || !printer->problem->bids[i].buy;
        }
        print_constraints(printer, "constraint_price", 0);
        if (exports) {
            print_constraints(printer, "constraint_price_export", 1);
        }
    }
    if (printer->problem->mechanism == CLEAR_ONE_SIDED) {
        print_certificate(printer);
    }
    if (!print_payments(printer, fault) ||
        (printer->text->excess && !print_excess(printer, fault))) {
        return false;
    }
    fputs("}\n", printer->out);
    return true;
}

static bool fail_at(struct clear_text_fault *out, const struct clear_fault *fault)
{
    return fault->bid == UINT32_MAX ? clear_text_fail(out, fault->what, "%s", fault->field)
                                    : clear_text_fail(out, fault->what, "bids[%u].%s",
                                                      (unsigned)fault->bid, fault->field);
}

/* What the rules say of the problem and of all that it asks for, before any of it is computed. */
static bool check_all(struct printer *printer, struct clear_text_fault *out)
{
    const struct clear_text *text = printer->text;
    struct clear_fault fault;
    if (!clear_check(printer->problem, &fault, &printer->arena)) {
        return fail_at(out, &fault);
    }
    for (uint32_t i = 0; i < text->payment_count; i++) {
        if (!clear_pay_check(printer->problem, text->payments[i], text->seeded, &fault,
                             &printer->arena)) {
            return fail_at(out, &fault);
        }
    }
    return !text->excess || clear_excess_check(printer->problem, &fault) || fail_at(out, &fault);
}

char *clear_text_run(const struct clear_text *text, size_t *size, struct clear_text_fault *fault)
{
    char *json = NULL;
    struct printer printer = {.text = text, .problem = &text->problem};
    printer.arena.size = clear_arena_bytes(&text->problem);
    printer.arena.bytes = malloc(printer.arena.size);
    printer.out = open_memstream(&json, size);
    bool good = printer.arena.bytes != NULL && printer.out != NULL;
    if (!good) {
        clear_text_fail(fault, "out of memory", "problem");
    }
    good = good && check_all(&printer, fault);
    if (good && !clear_run(&printer.result, &text->problem, &printer.arena)) {
        good = clear_text_fail(fault, "orders pass each other over too often", "bids");
    }
    good = good && print_all(&printer, fault);
    if (printer.out != NULL) {
        bool written = ferror(printer.out) == 0;
        written = fclose(printer.out) == 0 && written;
        good = good && (written || clear_text_fail(fault, "out of memory", "result"));
    }
    free(printer.arena.bytes);
    if (!good) {
        free(json);
        return NULL;
    }
    return json;
}
