/* Option parsing for flexd (options.h).
 *
 * One table says which options exist and where their values go; each command says which of them it
 * takes. "--name value" and "--name=value" both work.
 *
 * Deliberately absent: short options, abbreviations, positional arguments. */
#include "node/options.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const size_t HEX_KEY_SIZE = 2 * (size_t)PUBLIC_KEY_SIZE;

static const struct {
    const char *name;
    size_t offset;
} text_options[] = {
    {"home", offsetof(struct flexd_options, home)},
    {"name", offsetof(struct flexd_options, name)},
    {"role", offsetof(struct flexd_options, role)},
    {"listen-p2p", offsetof(struct flexd_options, listen_p2p)},
    {"listen-api", offsetof(struct flexd_options, listen_api)},
    {"genesis", offsetof(struct flexd_options, genesis)},
    {"new-ca", offsetof(struct flexd_options, new_ca)},
    {"ca-certificate", offsetof(struct flexd_options, ca_certificate)},
    {"ca-key", offsetof(struct flexd_options, ca_key)},
    {"clock-offset-file", offsetof(struct flexd_options, clock_offset_file)},
    {"log-level", offsetof(struct flexd_options, log_level)},
    {"read-access", offsetof(struct flexd_options, read_access)},
    {"node-key", offsetof(struct flexd_options, node_key)},
    {"out", offsetof(struct flexd_options, out)},
    {"from", offsetof(struct flexd_options, from)},
};

static const struct {
    const char *name;
    size_t offset;
} flag_options[] = {
    {"json", offsetof(struct flexd_options, json)},
    {"quick", offsetof(struct flexd_options, quick)},
    {"repair", offsetof(struct flexd_options, repair)},
    {"keys", offsetof(struct flexd_options, keys)},
    {"data", offsetof(struct flexd_options, data)},
    {"adopt", offsetof(struct flexd_options, adopt)},
};

void flexd_say_fault(const char *command, bool json, const char *code, const char *problem)
{
    fprintf(stderr, "flexd %s: %s\n", command, problem);
    if (!json)
        return;
    cJSON *root = cJSON_CreateObject();
    cJSON *error = cJSON_AddObjectToObject(root, "error");
    cJSON_AddStringToObject(error, "code", code);
    cJSON_AddStringToObject(error, "reason", problem);
    char *text = cJSON_PrintUnformatted(root);
    if (text != NULL)
        printf("%s\n", text);
    free(text);
    cJSON_Delete(root);
}

/* A command line at fault; false, so that a parser can return it. */
__attribute__((format(printf, 3, 4))) static bool
fault(const struct flexd_options *options, const char *command, const char *format, ...)
{
    char problem[NODE_PROBLEM_SIZE];
    va_list list;
    va_start(list, format);
    vsnprintf(problem, sizeof problem, format, list);
    va_end(list);
    flexd_say_fault(command, options->json, "bad_usage", problem);
    return false;
}

static bool is_allowed(const char *const *allowed, const char *name, size_t length)
{
    for (; *allowed != NULL; allowed++) {
        if (strlen(*allowed) == length && memcmp(*allowed, name, length) == 0)
            return true;
    }
    return false;
}

/* KEY@HOST:PORT. */
static bool add_peer(struct flexd_options *options, const char *text)
{
    const char *at = strchr(text, '@');
    char key[2 * PUBLIC_KEY_SIZE + 1];
    char host[NODE_ADDRESS_MAX];
    uint16_t port = 0;
    if (options->peer_count >= P2P_PEERS_MAX || at == NULL || at - text != (ptrdiff_t)HEX_KEY_SIZE)
        return false;
    memcpy(key, text, HEX_KEY_SIZE);
    key[HEX_KEY_SIZE] = '\0';
    struct p2p_peer_config *peer = &options->peers[options->peer_count];
    if (!hex_decode(peer->key.bytes, PUBLIC_KEY_SIZE, key))
        return false;
    /* "KEY@" alone names a peer that dials us. */
    if (at[1] != '\0' && !node_address_split(at + 1, host, &port))
        return false;
    snprintf(peer->address, sizeof peer->address, "%s", at + 1);
    options->peer_count++;
    return true;
}

static bool store_value(struct flexd_options *options, const char *command, const char *name,
                        size_t length, const char *value)
{
    if (length == 4 && memcmp(name, "peer", 4) == 0) {
        if (add_peer(options, value))
            return true;
        return fault(options, command, "--peer %s: must be KEY@HOST:PORT, at most %d of them",
                     value, P2P_PEERS_MAX);
    }
    for (size_t i = 0; i < sizeof text_options / sizeof text_options[0]; i++) {
        if (strlen(text_options[i].name) != length ||
            memcmp(text_options[i].name, name, length) != 0)
            continue;
        const char *slot = NULL;
        char *field = (char *)options + text_options[i].offset;
        memcpy(&slot, field, sizeof slot);
        if (slot != NULL) {
            return fault(options, command, "--%s is given twice", text_options[i].name);
        }
        memcpy(field, &value, sizeof value);
        return true;
    }
    return false;
}

static bool set_flag(struct flexd_options *options, const char *name)
{
    for (size_t i = 0; i < sizeof flag_options / sizeof flag_options[0]; i++) {
        if (strcmp(flag_options[i].name, name) == 0) {
            *((bool *)((char *)options + flag_options[i].offset)) = true;
            return true;
        }
    }
    return false;
}

bool flexd_options_parse(struct flexd_options *options, const char *command,
                         const char *const *allowed, int count, char **arguments)
{
    memset(options, 0, sizeof *options);
    /* Known before anything is parsed: what is wrong with the line is said as JSON too. */
    for (int i = 0; i < count; i++)
        options->json |= is_allowed(allowed, "json", 4) && strcmp(arguments[i], "--json") == 0;
    for (int i = 0; i < count; i++) {
        const char *argument = arguments[i];
        if (strncmp(argument, "--", 2) != 0) {
            return fault(options, command, "%s: not an option; see flexd --help", argument);
        }
        const char *name = argument + 2;
        size_t length = strcspn(name, "=");
        if (!is_allowed(allowed, name, length)) {
            return fault(options, command, "unknown option %s; see flexd --help", argument);
        }
        if (set_flag(options, name))
            continue;
        const char *value = name[length] == '=' ? name + length + 1 : NULL;
        if (value == NULL && i + 1 < count)
            value = arguments[++i];
        if (value == NULL) {
            return fault(options, command, "%s needs a value", argument);
        }
        if (!store_value(options, command, name, length, value))
            return false;
    }
    if (is_allowed(allowed, "home", 4) && options->home == NULL) {
        return fault(options, command, "--home DIR is required");
    }
    return true;
}

bool flexd_ca_is_there(const struct flexd_options *options, char problem[NODE_PROBLEM_SIZE])
{
    const char *const files[] = {options->ca_certificate, options->ca_key};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (files[i] == NULL || access(files[i], R_OK) == 0)
            continue;
        snprintf(problem, NODE_PROBLEM_SIZE, "--%s %.180s: %s",
                 i == 0 ? "ca-certificate" : "ca-key", files[i], strerror(errno));
        return false;
    }
    return true;
}
