/* flexd.json, key files, genesis files and clocks: what is accepted, what is refused and in which
 * words, and that what is written is read back the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/files.h"
#include "node/clock.h"
#include "node/config.h"

#define KEY_A "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define KEY_B "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define NEEDED                                                                                     \
    "\"role\":\"audit\",\"name\":\"n1\",\"listen_p2p\":\"\",\"listen_api\":\"127.0.0.1:1\""

#define VALIDATOR                                                                                  \
    "\"role\":\"validator\",\"name\":\"n1\",\"listen_p2p\":\"\",\"listen_api\":\"127.0.0.1:1\""

static char directory[64];

static int make_directory(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/flex-test-XXXXXX");
    return mkdtemp(directory) != NULL ? 0 : -1;
}

static int drop_directory(void **state)
{
    (void)state;
    char command[128];
    const char *const names[] = {"flexd.json", "node.key", "offset", "offset.new"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(command, sizeof command, "%s/%s", directory, names[i]);
        (void)unlink(command);
    }
    return rmdir(directory);
}

static bool parse(struct node_config *config, const char *text, char problem[NODE_PROBLEM_SIZE])
{
    problem[0] = '\0';
    return node_config_parse(config, directory, text, strlen(text), problem);
}

static void the_least_and_the_most_are_accepted(void **state)
{
    (void)state;
    struct node_config config;
    char problem[NODE_PROBLEM_SIZE];
    char path[NODE_PATH_MAX];
    assert_true(parse(&config, "{" NEEDED "}", problem));
    assert_int_equal(config.role, NODE_AUDIT);
    assert_string_equal(config.genesis, "genesis.json");
    assert_int_equal(config.log_level, LOG_INFO);
    assert_int_equal(config.workers, 0);
    assert_true(config.map_bytes == UINT64_C(68719476736));
    assert_true(parse(&config,
                      "{\"role\":\"validator\",\"name\":\"dso.west\",\"genesis\":\"/etc/g.json\","
                      "\"listen_p2p\":\"[::1]:7401\",\"listen_api\":\"localhost:8401\","
                      "\"peers\":[{\"key\":\"" KEY_A "\",\"address\":\"h:1\"},"
                      "{\"key\":\"" KEY_B "\",\"address\":\"\"}],"
                      "\"tls\":{\"ca\":\"a\",\"certificate\":\"b\",\"key\":\"c\"},"
                      "\"log\":{\"level\":\"trace\",\"json\":true},"
                      "\"clock_offset_file\":\"offset\",\"map_bytes\":\"16777216\",\"workers\":64}",
                      problem));
    assert_int_equal(config.role, NODE_VALIDATOR);
    assert_int_equal(config.peer_count, 2);
    assert_string_equal(config.peers[0].address, "h:1");
    assert_int_equal(config.peers[1].key.bytes[0], 0xff);
    assert_true(config.log_json);
    assert_int_equal(config.workers, 64);
    assert_true(node_config_path(path, &config, config.genesis));
    assert_string_equal(path, "/etc/g.json");
    assert_true(node_config_path(path, &config, config.tls_ca));
    assert_memory_equal(path, directory, strlen(directory));
}

/* What holds where nothing is said depends on who can reach the API. */
static void reads_are_open_on_loopback_alone(void **state)
{
    static const struct {
        const char *address;
        const char *access; /* NULL: not said */
        bool by_role;
    } rows[] = {
        {"127.0.0.1:1", NULL, false},   {"127.1.2.3:1", NULL, false},
        {"localhost:1", NULL, false},   {"[::1]:1", NULL, false},
        {"0.0.0.0:1", NULL, true},      {"[::]:1", NULL, true},
        {"192.168.1.2:1", NULL, true},  {"node.example.org:1", NULL, true},
        {"127.evil.org:1", NULL, true}, {"localhost.evil.org:1", NULL, true},
        {"127.0.0.1:1", "role", true},  {"0.0.0.0:1", "open", false},
        {"127.0.0.1:1", "open", false}, {"0.0.0.0:1", "role", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct node_config config;
        char text[256];
        char problem[NODE_PROBLEM_SIZE] = "";
        int size = snprintf(text, sizeof text,
                            "{\"role\":\"audit\",\"name\":\"n\",\"listen_p2p\":\"\",\"listen_api\":"
                            "\"%s\"%s%s%s}",
                            rows[i].address, rows[i].access != NULL ? ",\"read_access\":\"" : "",
                            rows[i].access != NULL ? rows[i].access : "",
                            rows[i].access != NULL ? "\"" : "");
        assert_true(node_config_parse(&config, "/nowhere", text, (size_t)size, problem));
        assert_int_equal(node_config_reads_by_role(&config), rows[i].by_role);
    }
}

static void faults_of_read_access_are_named(void **state)
{
    static const struct {
        const char *text;
        const char *named; /* NULL: it is good */
    } rows[] = {
        {"{" NEEDED ",\"read_access\":\"all\"}", "read_access"},
        {"{" NEEDED ",\"read_access\":1}", "read_access"},
        {"{" NEEDED ",\"read_access\":\"role\",\"read_zones\":[{\"participant\":\"dso\","
         "\"zone\":\"west\"},{\"participant\":\"dso\",\"zone\":\"east\"}]}",
         NULL},
        {"{" NEEDED ",\"read_zones\":{}}", "read_zones"},
        {"{" NEEDED ",\"read_zones\":[\"west\"]}", "read_zones[0]"},
        {"{" NEEDED ",\"read_zones\":[{\"participant\":\"dso\"}]}", "read_zones[0]"},
        {"{" NEEDED ",\"read_zones\":[{\"participant\":\"DSO\",\"zone\":\"west\"}]}",
         "read_zones[0]"},
        {"{" NEEDED ",\"read_zones\":[{\"participant\":\"dso\",\"zone\":\"west\",\"x\":1}]}",
         "read_zones[0]"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct node_config config;
        char problem[NODE_PROBLEM_SIZE] = "";
        const bool good =
            node_config_parse(&config, "/nowhere", rows[i].text, strlen(rows[i].text), problem);
        assert_int_equal(good, rows[i].named == NULL);
        if (!good)
            assert_non_null(strstr(problem, rows[i].named));
        else
            assert_int_equal(config.read_zone_count, 2);
    }
}

static void every_fault_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *named; /* must stand in the message */
    } rows[] = {
        {"", ""},
        {"[]", "object"},
        {"{\"role\":\"audit\"}", "name"},
        {"{" NEEDED ",\"colour\":\"red\"}", "colour"},
        {"{" NEEDED ",\"role\":\"audit\"}", "twice"},
        {"{\"role\":\"king\",\"name\":\"n\",\"listen_p2p\":\"\",\"listen_api\":\"h:1\"}", "role"},
        {"{\"role\":\"audit\",\"name\":\"N 1\",\"listen_p2p\":\"\",\"listen_api\":\"h:1\"}",
         "name"},
        {"{\"role\":\"audit\",\"name\":\"n\",\"listen_p2p\":\"\",\"listen_api\":\"\"}",
         "listen_api"},
        {"{\"role\":\"audit\",\"name\":\"n\",\"listen_p2p\":\"h\",\"listen_api\":\"h:1\"}",
         "listen_p2p"},
        {"{\"role\":\"audit\",\"name\":\"n\",\"listen_p2p\":\"h:70000\",\"listen_api\":\"h:1\"}",
         "listen_p2p"},
        {"{" NEEDED ",\"genesis\":7}", "genesis"},
        {"{" NEEDED ",\"peers\":{}}", "peers"},
        {"{" NEEDED ",\"peers\":[{\"key\":\"aa\",\"address\":\"h:1\"}]}", "peers[0].key"},
        {"{" NEEDED ",\"peers\":[{\"key\":\"" KEY_A "\"}]}", "address"},
        {"{" NEEDED ",\"peers\":[{\"key\":\"" KEY_A "\",\"address\":\"h:1\",\"x\":1}]}", "x"},
        {"{" NEEDED ",\"peers\":[{\"key\":\"" KEY_A "\",\"address\":\"h:1\"},"
         "{\"key\":\"" KEY_A "\",\"address\":\"h:2\"}]}",
         "peers[1]"},
        {"{" NEEDED ",\"tls\":{\"ca\":\"a\",\"certificate\":\"b\"}}", "key"},
        {"{" NEEDED ",\"log\":{\"level\":\"loud\"}}", "level"},
        {"{" NEEDED ",\"log\":{\"json\":1}}", "json"},
        {"{" NEEDED ",\"map_bytes\":65536}", "map_bytes"},
        {"{" NEEDED ",\"map_bytes\":\"65536\"}", "map_bytes"},
        {"{" NEEDED ",\"map_bytes_max\":\"65536\"}", "map_bytes_max"},
        {"{" NEEDED ",\"map_bytes_step\":\"65536\"}", "map_bytes_step"},
        {"{" NEEDED ",\"workers\":0}", "workers"},
        {"{" NEEDED ",\"sync\":\"fast\"}", "sync"},
        {"{" NEEDED ",\"sync\":\"snapshot\"}", "audit"},
        {"{" NEEDED ",\"keep_days\":90}", "audit"},
        {"{" NEEDED ",\"sync\":\"replay\",\"snapshot_blocks\":\"0\"}", NULL},
        {"{" NEEDED ",\"snapshot_blocks\":100}", "snapshot_blocks"},
        {"{" VALIDATOR ",\"sync\":\"snapshot\",\"keep_days\":61,\"keep_blocks\":\"5\"}", NULL},
        {"{" VALIDATOR ",\"keep_days\":60}", "61"},
        {"{" VALIDATOR ",\"witness_days\":0}", NULL},
        {"{" VALIDATOR ",\"witness_days\":36501}", "36500"},
        {"{" VALIDATOR ",\"witness_days\":\"1\"}", "witness_days"},
        {"{" NEEDED ",\"witness_days\":1}", "audit"},
        {"{" VALIDATOR ",\"keep_days\":\"90\"}", "keep_days"},
        {"{" VALIDATOR ",\"keep_blocks\":\"5\"}", "keep_days"},
        {"{" VALIDATOR ",\"keep_days\":90,\"snapshot_blocks\":\"0\"}", "snapshot_blocks"},
        {"{" NEEDED ",\"workers\":65}", "workers"},
        {"{" NEEDED ",\"workers\":\"2\"}", "workers"},
        {"{" NEEDED "} ", NULL},
        {"{" NEEDED "}x", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct node_config config;
        char problem[NODE_PROBLEM_SIZE];
        bool good = parse(&config, rows[i].text, problem);
        assert_true(good == (rows[i].named == NULL));
        if (!good) {
            assert_true(problem[0] != '\0');
            if (strstr(problem, rows[i].named) == NULL)
                fail_msg("row %zu: \"%s\" does not name \"%s\"", i, problem, rows[i].named);
        }
    }
}

static void faults_of_the_api_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *api;
        const char *named; /* NULL: good */
    } rows[] = {
        {"{}", NULL},
        {"[]", "api"},
        {"{\"port\":1}", "port"},
        {"{\"certificate\":\"c.pem\",\"key\":\"k.pem\",\"tls_min\":\"1.3\"}", NULL},
        {"{\"certificate\":\"c.pem\"}", "together"},
        {"{\"key\":\"k.pem\"}", "together"},
        {"{\"certificate\":\"\",\"key\":\"k.pem\"}", "api.certificate"},
        {"{\"certificate\":\"c\",\"key\":\"k\",\"tls_min\":\"1.1\"}", "tls_min"},
        {"{\"tls_min\":\"1.3\"}", "certificate"},
        {"{\"origins\":[\"https://a.example\",\"http://localhost:3000\"]}", NULL},
        {"{\"origins\":\"https://a.example\"}", "origins"},
        {"{\"origins\":[\"*\"]}", "origins[0]"},
        {"{\"origins\":[\"https://a.example/\"]}", "origins[0]"},
        {"{\"origins\":[\"https://A.example\"]}", "origins[0]"},
        {"{\"origins\":[\"https://a.example\",\"ftp://a.example\"]}", "origins[1]"},
        {"{\"origins\":[\"https://\"]}", "origins[0]"},
        {"{\"origins\":[\"https://a:0\"]}", "origins[0]"},
        {"{\"origins\":[\"https://a:65536\"]}", "origins[0]"},
        {"{\"origins\":[\"null\"]}", "origins[0]"},
        {"{\"origins\":[1]}", "origins[0]"},
        {"{\"hosts\":[\"api.example\"]}", NULL},
        {"{\"hosts\":[\"api.example:1\"]}", "hosts[0]"},
        {"{\"hosts\":[\"\"]}", "hosts[0]"},
        {"{\"hosts\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\","
         "\"12\",\"13\",\"14\",\"15\",\"16\",\"17\"]}",
         "16"},
        {"{\"address_rate\":0,\"key_rate\":0}", NULL},
        {"{\"address_rate\":-1}", "address_rate"},
        {"{\"address_rate\":\"5\"}", "address_rate"},
        {"{\"address_burst\":0}", "address_burst"},
        {"{\"key_rate\":1000001}", "key_rate"},
        {"{\"key_burst\":0}", "key_burst"},
        {"{\"limit_loopback\":1}", "limit_loopback"},
        {"{\"streams\":1}", NULL},
        {"{\"streams\":64}", NULL},
        {"{\"streams\":0}", "streams"},
        {"{\"streams\":65}", "streams"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        static struct node_config config, again;
        char text[1024];
        char problem[NODE_PROBLEM_SIZE];
        memset(&config, 0, sizeof config);
        memset(&again, 0, sizeof again);
        snprintf(text, sizeof text, "{" NEEDED ",\"api\":%s}", rows[i].api);
        bool good = parse(&config, text, problem);
        if (good != (rows[i].named == NULL))
            fail_msg("row %zu: %s", i, problem);
        if (!good && strstr(problem, rows[i].named) == NULL)
            fail_msg("row %zu: \"%s\" does not name \"%s\"", i, problem, rows[i].named);
        if (good) {
            assert_true(node_config_save(&config, problem));
            assert_true(node_config_load(&again, directory, problem));
            assert_memory_equal(&config, &again, sizeof config);
        }
    }
}

static void a_node_listens_on_loopback_unless_told_otherwise(void **state)
{
    (void)state;
    static const char *const roles[] = {"validator", "audit"};
    for (int i = 0; i < 2; i++) {
        struct node_config config;
        char text[128];
        char problem[NODE_PROBLEM_SIZE];
        snprintf(text, sizeof text, "{\"role\":\"%s\",\"name\":\"n\",\"listen_p2p\":\"\"}",
                 roles[i]);
        assert_true(parse(&config, text, problem));
        assert_string_equal(config.listen_api, "127.0.0.1:8400");
        assert_false(node_config_reads_by_role(&config));
        assert_string_equal(config.api.certificate, "");
        assert_int_equal(config.api.origin_count, 0);
        assert_false(config.api.limit_loopback);
    }
}

/* Every optional key of the document has a note in a new file and the other way round, and writing a
 * note's default changes nothing. */
static void notes_say_what_is_not_said(void **state)
{
    (void)state;
    static const char start[] = "\n## flexd.json\n";
    static const char head[] =
        "{\"role\":\"validator\",\"name\":\"a\",\"listen_p2p\":\"127.0.0.1:1\","
        "\"listen_api\":\"127.0.0.1:2\"";
    char path[512], problem[NODE_PROBLEM_SIZE] = "";
    struct node_config plain, other;
    size_t size = 0;
    unsigned noted = 0;
    node_config_init(&plain, directory);
    assert_true(name_from_text(&plain.name, "a", 1));
    snprintf(plain.listen_p2p, sizeof plain.listen_p2p, "127.0.0.1:1");
    snprintf(plain.listen_api, sizeof plain.listen_api, "127.0.0.1:2");
    assert_true(node_config_save(&plain, problem));
    snprintf(path, sizeof path, "%s/flexd.json", directory);
    char *file = files_read(path, 1 << 20, &size);
    char *document = files_read("docs/spec/config.md", 1 << 20, &size);
    assert_non_null(file);
    assert_non_null(document);
    char *row = strstr(document, start);
    assert_non_null(row);
    *strstr(row, "\n```json") = '\0'; /* the tables of objects come behind the example, too */
    for (row = strstr(row, "\n| `"); row != NULL; row = strstr(row + 1, "\n| `")) {
        char key[64], said[80], note[80];
        assert_int_equal(sscanf(row, "\n| `%63[a-z_0-9]`", key), 1);
        snprintf(said, sizeof said, "\"%s\":", key);
        snprintf(note, sizeof note, "\"# %s\":", key);
        if ((strstr(file, said) != NULL) == (strstr(file, note) != NULL))
            fail_msg("%s: once, as a setting or as a note", key);
        noted += strstr(file, note) != NULL;
    }
    /* `signer` stands in a document of its own. */
    assert_in_range(noted, node_config_note_count - 1, node_config_note_count);
    snprintf(path, sizeof path, "%s}", head);
    assert_true(node_config_parse(&plain, directory, path, strlen(path), problem));
    for (size_t i = 0; i < node_config_note_count; i++) {
        char text[512];
        if (node_config_notes[i].value == NULL)
            continue;
        snprintf(text, sizeof text, "%s,\"%s\":%s,\"# x\":\"y\"}", head, node_config_notes[i].key,
                 node_config_notes[i].value);
        assert_true(node_config_parse(&other, directory, text, strlen(text), problem));
        assert_memory_equal(&plain, &other, sizeof plain);
    }
    snprintf(path, sizeof path, "%s,\"#\":1}", head);
    assert_false(node_config_parse(&other, directory, path, strlen(path), problem));
    free(file);
    free(document);
}

static void what_is_saved_is_loaded(void **state)
{
    (void)state;
    struct node_config saved;
    struct node_config loaded;
    char problem[NODE_PROBLEM_SIZE] = "";
    assert_true(parse(&saved,
                      "{" NEEDED ",\"peers\":[{\"key\":\"" KEY_B "\",\"address\":\"h:1\"}],"
                      "\"workers\":3,\"map_bytes\":\"33554432\",\"map_bytes_max\":\"67108864\","
                      "\"map_bytes_step\":\"1048576\",\"clock_offset_file\":\"o\"}",
                      problem));
    assert_true(node_config_save(&saved, problem));
    assert_true(node_config_load(&loaded, directory, problem));
    assert_memory_equal(&saved, &loaded, sizeof saved);
    assert_true(parse(&saved,
                      "{" VALIDATOR ",\"sync\":\"snapshot\",\"snapshot_blocks\":\"77\","
                      "\"keep_days\":100,\"keep_blocks\":\"12\"}",
                      problem));
    assert_true(node_config_save(&saved, problem));
    assert_true(node_config_load(&loaded, directory, problem));
    assert_memory_equal(&saved, &loaded, sizeof saved);
    assert_true(loaded.sync_snapshot && loaded.snapshot_blocks == 77 && loaded.keep_days == 100);
}

static void keys_are_kept_to_their_owner(void **state)
{
    (void)state;
    char path[128];
    char problem[NODE_PROBLEM_SIZE] = "";
    struct secret_key made;
    struct secret_key read;
    snprintf(path, sizeof path, "%s/node.key", directory);
    assert_true(node_key_create(path, &made, problem));
    assert_true(node_key_load(path, &read, problem));
    assert_memory_equal(&made, &read, sizeof made);
    assert_false(node_key_create(path, &read, problem)); /* never overwritten */
    assert_true(node_key_load(path, &read, problem));
    assert_memory_equal(&made, &read, sizeof made);
    assert_int_equal(chmod(path, 0640), 0);
    assert_false(node_key_load(path, &read, problem));
    assert_non_null(strstr(problem, "600"));
    assert_int_equal(chmod(path, 0600), 0);
    FILE *file = fopen(path, "ae");
    assert_non_null(file);
    fputs("\n", file);
    fclose(file);
    assert_false(node_key_load(path, &read, problem)); /* one byte too many */
    file = fopen(path, "we");
    assert_non_null(file);
    fputs("GG112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n", file);
    fclose(file);
    assert_false(node_key_load(path, &read, problem));
    assert_int_equal(unlink(path), 0);
    assert_false(node_key_load(path, &read, problem));
}

static void write_offset(const char *text)
{
    char path[128];
    char beside[128];
    snprintf(path, sizeof path, "%s/offset", directory);
    snprintf(beside, sizeof beside, "%s/offset.new", directory);
    FILE *file = fopen(beside, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(rename(beside, path), 0);
}

static int64_t offset_now(struct node_clock *clock)
{
    struct node_clock real;
    usleep((CLOCK_OFFSET_REREAD_MS + 5) * 1000);
    node_clock_open(&real, NULL);
    int64_t difference =
        timestamp_ms(node_clock_wall(clock)) - timestamp_ms(node_clock_wall(&real));
    node_clock_close(&real);
    /* To the nearest ten seconds: what the machine does between two readings doesn't matter. */
    return (difference + (difference < 0 ? -5000 : 5000)) / 10000 * 10000;
}

static void a_simulated_clock_follows_its_file(void **state)
{
    (void)state;
    char path[128];
    struct node_clock clock;
    snprintf(path, sizeof path, "%s/offset", directory);
    write_offset("86400000\n");
    node_clock_open(&clock, path);
    assert_int_equal(offset_now(&clock), 86400000);
    write_offset("-3600000");
    assert_int_equal(offset_now(&clock), -3600000);
    /* Not a number, out of range, gone: the last offset stays. */
    write_offset("soon");
    assert_int_equal(offset_now(&clock), -3600000);
    write_offset("99999999999999999999");
    assert_int_equal(offset_now(&clock), -3600000);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(offset_now(&clock), -3600000);
    node_clock_close(&clock);
    uint64_t before = node_clock_monotonic_ms();
    assert_true(node_clock_monotonic_ms() >= before);
}

static void addresses_are_host_and_port(void **state)
{
    (void)state;
    static const char *const bad[] = {"", ":", ":1", "h", "h:", "h:x", "h:01", "h:65536", "[]:1"};
    char host[NODE_ADDRESS_MAX];
    uint16_t port = 0;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(node_address_split(bad[i], host, &port));
    assert_true(node_address_split("[fe80::1]:65535", host, &port));
    assert_string_equal(host, "fe80::1");
    assert_int_equal(port, 65535);
    assert_true(node_address_split("127.0.0.1:0", host, &port));
    assert_int_equal(port, 0);
}

static void a_solver_is_described(void **state)
{
    (void)state;
    struct node_config config, again;
    char problem[NODE_PROBLEM_SIZE];
    assert_true(parse(&config, "{" VALIDATOR "}", problem));
    assert_false(config.solver.enabled);
    assert_true(parse(&config,
                      "{" VALIDATOR ",\"solver\":{\"enabled\":true,\"key\":\"/k\",\"program\":"
                      "\"/usr/bin/flexsolve\",\"memory_mb\":64,\"seconds\":3600}}",
                      problem));
    assert_true(config.solver.enabled && config.solver.memory_mb == 64);
    assert_true(node_config_save(&config, problem));
    assert_true(node_config_load(&again, directory, problem));
    assert_memory_equal(&again.solver, &config.solver, sizeof config.solver);
    static const struct {
        const char *text;
        const char *words;
    } refused[] = {
        {"{" VALIDATOR ",\"solver\":true}", "\"solver\" must be an object"},
        {"{" VALIDATOR ",\"solver\":{}}", "solver.enabled"},
        {"{" VALIDATOR ",\"solver\":{\"enabled\":true,\"cores\":1}}", "unknown key \"cores\""},
        {"{" VALIDATOR ",\"solver\":{\"enabled\":true,\"key\":\"\"}}", "solver.key"},
        {"{" VALIDATOR ",\"solver\":{\"enabled\":true,\"program\":\"flexsolve\"}}", "absolute"},
        {"{" VALIDATOR ",\"solver\":{\"enabled\":true,\"memory_mb\":63}}", "memory_mb"},
        {"{" VALIDATOR ",\"solver\":{\"enabled\":true,\"seconds\":3601}}", "seconds"},
        {"{" NEEDED ",\"solver\":{\"enabled\":true}}", "audit node"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_false(parse(&config, refused[i].text, problem));
        assert_non_null(strstr(problem, refused[i].words));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_and_the_most_are_accepted),
        cmocka_unit_test(reads_are_open_on_loopback_alone),
        cmocka_unit_test(faults_of_read_access_are_named),
        cmocka_unit_test(every_fault_is_named),
        cmocka_unit_test(faults_of_the_api_are_named),
        cmocka_unit_test(a_solver_is_described),
        cmocka_unit_test(a_node_listens_on_loopback_unless_told_otherwise),
        cmocka_unit_test(what_is_saved_is_loaded),
        cmocka_unit_test(notes_say_what_is_not_said),
        cmocka_unit_test(keys_are_kept_to_their_owner),
        cmocka_unit_test(a_simulated_clock_follows_its_file),
        cmocka_unit_test(addresses_are_host_and_port),
    };
    if (!crypto_init())
        return 1;
    return cmocka_run_group_tests(tests, make_directory, drop_directory);
}
