/* The result of a coupled auction as text (tools/clear/coupled_text.h; docs/spec/coupled.md 8): what
 * was accepted, what flows, prices, payments, and the certificate that anybody can check. */
#include "tools/clear/coupled_text.h"

#include <stdlib.h>
#include <string.h>

struct printer {
    FILE *out;
    const struct clear_text *text;
    const struct coupled_text *coupled;
    const struct coupled_problem *problem;
    const struct coupled_solution *solution;
};

static void print_number(struct printer *printer, int128 value)
{
    char text[INT128_TEXT_SIZE];
    int128_to_text(text, value);
    fprintf(printer->out, "\"%s\"", text);
}

static uint128 magnitude(int128 value)
{
    return value < 0 ? (uint128)0 - (uint128)value : (uint128)value;
}

/* value / den in lowest terms; whole numbers without a denominator. */
static void print_fraction(struct printer *printer, int128 value, int64_t den)
{
    uint128 a = magnitude(value), b = (uint128)den;
    while (b != 0) { /* Euclid: under 190 steps for 128 bits */
        uint128 rest = a % b;
        a = b;
        b = rest;
    }
    char text[INT128_TEXT_SIZE];
    int64_t divisor = a == 0 ? den : (int64_t)a; /* divides den, so it fits */
    int128_to_text(text, value / divisor);
    fprintf(printer->out, "\"%s", text);
    if (den / divisor != 1) {
        fprintf(printer->out, "/%lld", (long long)(den / divisor));
    }
    putc('"', printer->out);
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
        print_number(printer, printer->solution->accepted[i]);
        putc('}', printer->out);
    }
    putc(']', printer->out);
}

static void print_flows(struct printer *printer)
{
    const struct coupled_problem *problem = printer->problem;
    fputs(",\"flow\":{", printer->out);
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        fprintf(printer->out, "%s\"%u\":[", slot == 0 ? "" : ",",
                (unsigned)printer->text->interval[slot]);
        for (uint32_t i = 0; i < problem->line_count; i++) {
            fputs(i == 0 ? "" : ",", printer->out);
            print_number(printer, printer->solution->flow[(size_t)slot * problem->line_count + i]);
        }
        putc(']', printer->out);
    }
    putc('}', printer->out);
}

/* One number per interval and node of a carrier: prices as fractions, or multipliers as they are. */
static void print_places(struct printer *printer, uint32_t carrier, const int128 *price)
{
    const struct coupled_problem *problem = printer->problem;
    putc('{', printer->out);
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        fprintf(printer->out, "%s\"%u\":{", slot == 0 ? "" : ",",
                (unsigned)printer->text->interval[slot]);
        for (uint32_t node = 0; node < printer->coupled->node_count; node++) {
            size_t cell =
                (size_t)slot * problem->place_count + carrier * printer->coupled->node_count + node;
            fputs(node == 0 ? "" : ",", printer->out);
            print_text(printer, printer->coupled->node_name[node]);
            putc(':', printer->out);
            if (price != NULL) {
                print_fraction(printer, price[cell], printer->solution->den);
            } else {
                print_number(printer, printer->solution->node[cell]);
            }
        }
        putc('}', printer->out);
    }
    putc('}', printer->out);
}

/* `el` under its own key, other carriers by name under another; both only if there are any. */
static void print_carriers(struct printer *printer, const char *first, const char *others,
                           const int128 *price)
{
    fprintf(printer->out, ",\"%s\":", first);
    print_places(printer, 0, price);
    if (printer->coupled->carrier_count == 1) {
        return;
    }
    fprintf(printer->out, ",\"%s\":{", others);
    for (uint32_t carrier = 1; carrier < printer->coupled->carrier_count; carrier++) {
        fputs(carrier == 1 ? "" : ",", printer->out);
        print_text(printer, printer->coupled->carrier_name[carrier]);
        putc(':', printer->out);
        print_places(printer, carrier, price);
    }
    putc('}', printer->out);
}

static void print_certificate(struct printer *printer, const struct coupled_claim *claim)
{
    const struct coupled_problem *problem = printer->problem;
    const char *comma = "";
    fputs(",\"certificate\":{\"bound_neur\":", printer->out);
    print_number(printer, claim->bound);
    fputs(",\"gap_neur\":", printer->out);
    print_number(printer, claim->gap);
    fprintf(printer->out,
            ",\"relaxed_sets\":\"%u\",\"duals\":{\"den\":", (unsigned)claim->relaxed_sets);
    print_number(printer, printer->solution->den);
    print_carriers(printer, "node", "carrier_node", NULL);
    fputs(",\"row\":[", printer->out);
    for (uint32_t i = 0; i < problem->row_count; i++) {
        fputs(i == 0 ? "{" : ",{", printer->out);
        for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
            fprintf(printer->out, "%s\"%u\":", slot == 0 ? "" : ",",
                    (unsigned)printer->text->interval[slot]);
            print_number(printer, printer->solution->row[(size_t)slot * problem->row_count + i]);
        }
        putc('}', printer->out);
    }
    fputs("],\"sum\":[", printer->out);
    for (uint32_t i = 0; i < problem->link_count; i++) {
        if (problem->links[i].type == COUPLED_SUM) {
            fputs(comma, printer->out);
            comma = ",";
            print_number(printer, printer->solution->sum[i]);
        }
    }
    fputs("]}}", printer->out);
}

static void print_agents(struct printer *printer, const int128 *ueur, int128 balance)
{
    fputs("{\"agents\":{", printer->out);
    for (uint32_t agent = 0; agent < printer->problem->agent_count; agent++) {
        fputs(agent == 0 ? "" : ",", printer->out);
        print_text(printer, printer->text->agent_name[agent]);
        putc(':', printer->out);
        print_number(printer, ueur[agent]);
    }
    fputs("},\"balance_ueur\":", printer->out);
    print_number(printer, balance);
}

static void print_part(struct printer *printer, const char *key, int128 value)
{
    fprintf(printer->out, ",\"%s\":", key);
    print_fraction(printer, value, printer->solution->den);
}

static void print_payments(struct printer *printer, const struct coupled_plan *plan,
                           const struct coupled_settlement *paid, struct clear_arena *arena)
{
    fputs(",\"payments\":{", printer->out);
    for (uint32_t i = 0; i < printer->coupled->payment_count; i++) {
        uint32_t payment = printer->coupled->payments[i];
        fprintf(printer->out, "%s\"%s\":", i == 0 ? "" : ",", coupled_payment_names[payment]);
        if (payment == 1) {
            size_t mark = arena->used;
            int128 balance;
            int128 *ueur = clear_take(arena, printer->problem->agent_count, sizeof *ueur);
            coupled_pay_as_bid(ueur, &balance, plan, printer->solution, arena);
            print_agents(printer, ueur, balance);
            arena->used = mark;
        } else {
            print_agents(printer, paid->agent_ueur, paid->balance_ueur);
            print_part(printer, "surplus_neur", paid->surplus);
            print_part(printer, "make_whole_neur", paid->make_whole);
            print_part(printer, "charged_neur", paid->charged);
            print_part(printer, "left_neur", paid->left);
            if (paid->short_of != 0) {
                print_part(printer, "short_neur", paid->short_of);
            }
        }
        putc('}', printer->out);
    }
    putc('}', printer->out);
}

bool coupled_text_print(FILE *out, const struct clear_text *text, const struct coupled_plan *plan,
                        const struct coupled_solution *solution, const struct coupled_claim *claim,
                        const struct coupled_origin *origin, struct clear_arena *arena,
                        struct clear_text_fault *fault)
{
    struct coupled_settlement paid;
    struct printer printer = {out, text, text->coupled, &text->coupled->problem, solution};
    if (!coupled_settle(&paid, plan, solution, arena)) {
        return clear_text_fail(fault, "the sums of settlement leave 128 bits", "payments");
    }
    fputs("{\"format\":\"flexclear-result/1\",\"welfare_neur\":", out);
    print_number(&printer, claim->welfare);
    fputs(",\"quantity\":", out);
    print_number(&printer, claim->quantity);
    print_accepted(&printer);
    if (printer.problem->line_count > 0) {
        print_flows(&printer);
    }
    print_carriers(&printer, "node_price", "carrier_price", paid.price);
    print_payments(&printer, plan, &paid, arena);
    print_certificate(&printer, claim);
    if (origin != NULL) {
        fprintf(out, ",\"proposed\":{\"by\":\"%s\"", origin->from);
        if (origin->why != NULL) {
            fputs(",\"why\":", out);
            print_text(&printer, origin->why);
        }
        putc('}', out);
    }
    fputs("}\n", out);
    return true;
}
