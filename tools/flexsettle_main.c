/* flexsettle: one delivery settled without a ledger, by the code with which the ledger settles it
 * (docs/spec/delivery.md 10). Reads a problem, prints a result, keeps nothing. The words are
 * tools/settle/; here are the command line, the files and the exit codes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "base/json.h"
#include "tools/settle/problem.h"

enum { EXIT_SETTLED = 0, EXIT_BAD_INPUT = 2 };

static const char help[] =
    "flexsettle - settle one delivery of flexibility, without a ledger\n"
    "\n"
    "USAGE\n"
    "  flexsettle [FILE]        FILE, or standard input if there is none or it is -\n"
    "  flexsettle --help\n"
    "\n"
    "DESCRIPTION\n"
    "  Reads one delivery: what was contracted, what the meter read, and how delivery is\n"
    "  proven. Prints what was delivered, what of it is credited, what the provider is paid,\n"
    "  what the buyer gets back, and the penalty. It is the code of the ledger's contracts.\n"
    "  Integers that can pass 2^53 are decimal strings. Energy is Wh per interval, import\n"
    "  positive; prices are micro-euro per kWh, amounts micro-euro.\n"
    "\n"
    "KEYS OF EVERY PROBLEM\n"
    "  format               \"flexsettle/1\"\n"
    "  method               schedule, baseline, capacity_cap, capacity_floor or submeter\n"
    "  direction            up (less import) or down; capacity limits have none\n"
    "  price, escrow_ueur   what the deal promises, and what is locked for it\n"
    "  contracted_wh        above zero, 1 to 100 intervals\n"
    "  actual_wh            net consumption, one reading for each of them\n"
    "  penalty_price, deposit_ueur             \"0\" if absent\n"
    "  tolerance_permille, floor_permille      950 and 0 if absent; 0 to 1000\n"
    "\n"
    "KEYS OF ONE METHOD (those of other methods are not looked into)\n"
    "  reference_wh         schedule, submeter: what would have been consumed\n"
    "  limit_wh             capacity_cap: import at most this; capacity_floor: at least this\n"
    "  baseline             baseline: an object of\n"
    "    days, highest, adjustment_permille    10, 5 and 200 if absent\n"
    "    candidates           [{\"day\": number, \"wh\": [...]}, ...], oldest first\n"
    "    candidate_window_wh  for each of them, 8 readings: the adjustment window\n"
    "    actual_window_wh     the same 8 intervals on the day of delivery\n"
    "\n"
    "EXAMPLE\n"
    "  echo '{\"format\":\"flexsettle/1\",\"method\":\"schedule\",\"direction\":\"up\",\n"
    "         "
    "\"price\":\"250000\",\"escrow_ueur\":\"250000\",\"contracted_wh\":[\"500\",\"500\"],\n"
    "         \"reference_wh\":[\"700\",\"700\"],\"actual_wh\":[\"120\",\"226\"]}' | flexsettle\n"
    "  {\"format\":\"flexsettle-result/1\",\"reference_wh\":[\"700\",\"700\"],\n"
    "   \"delivered_wh\":[\"580\",\"474\"],\"credited_wh\":[\"500\",\"474\"],\n"
    "   \"paid_ueur\":\"243500\",\"refunded_ueur\":\"6500\",\"penalty_ueur\":\"0\"}   (one line)\n"
    "\n"
    "EXIT STATUS\n"
    "  0  the result is on standard output\n"
    "  2  bad usage or bad input: \"flexsettle: WHERE: WHAT\" on standard error, nothing on\n"
    "     standard output\n"
    "\n"
    "SEE ALSO\n"
    "  docs/spec/delivery.md: every rule, with worked examples\n";

static int refuse(const char *where, const char *what)
{
    fprintf(stderr, "flexsettle: %s: %s\n", where, what);
    return EXIT_BAD_INPUT;
}

static int put(const char *text)
{
    if (fputs(text, stdout) < 0 || fflush(stdout) != 0) {
        return refuse("standard output", strerror(errno));
    }
    return EXIT_SETTLED;
}

static int settle(const char *file)
{
    size_t size = 0;
    bool from_input = file == NULL || strcmp(file, "-") == 0;
    char *text = from_input ? files_read_descriptor(STDIN_FILENO, JSON_SIZE_MAX, &size)
                            : files_read(file, JSON_SIZE_MAX, &size);
    if (text == NULL) {
        return refuse(from_input ? "standard input" : file, strerror(errno));
    }
    struct settle_fault fault;
    char *line = settle_text(&fault, text, size);
    int status = line == NULL ? refuse(fault.where, fault.what) : put(line);
    free(line);
    free(text);
    return status;
}

int main(int argc, char **argv)
{
    const char *file = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            return put(help);
        }
        if (argv[i][0] == '-' && argv[i][1] != '\0') {
            return refuse(argv[i], "unknown option (flexsettle --help)");
        }
        if (file != NULL) {
            return refuse(argv[i], "one FILE is enough (flexsettle --help)");
        }
        file = argv[i];
    }
    return settle(file);
}
