/* What flexd.json says of the settings that stand at their default: a note each, under the key with "# "
 * in front (docs/spec/config.md). JSON has no comments, and an operator who opens the file at three in
 * the morning has no book beside it.
 *
 * 1. Every optional key of the root has a note; a test compares them with the document and with what the
 *    parser makes of an absent key.
 *
 * Deliberately absent: notes on the keys that every file has. */
#include <cjson/cJSON.h>
#include <stdio.h>

#include "node/config.h"

const struct node_config_note node_config_notes[] = {
    {"clock_offset_file", NULL, "file with the offset of a simulated clock; tests only"},
    {"map_bytes", "\"68719476736\"", "address space of the database at the start; it grows"},
    {"map_bytes_max", "\"1099511627776\"", "the largest that it grows to"},
    {"map_bytes_step", NULL, "it grows by so much at a time; without it, it doubles"},
    {"sync", "\"replay\"", "how an empty home begins: replay all blocks, or snapshot"},
    {"snapshot_blocks", "\"10000\"",
     "a snapshot every so many blocks, the same on all nodes; 0: none"},
    {"keep_days", NULL, "blocks older than that are removed, 61 at least; without it all stay"},
    {"keep_blocks", NULL,
     "with keep_days: so many of the last blocks stay in any case (\"10000\")"},
    {"read_access", NULL, "open or role; without it open on this machine alone, else role"},
    {"read_zones", "[]",
     "list of {\"participant\", \"zone\"}: which grid operator looks after which zone"},
    {"witness_days", "1", "readings are deleted so many days after their deal is over"},
    {"workers", NULL,
     "threads that verify signatures, 1 to 64; without it one per processor, at most 8"},
    {"api", "{}", "TLS files, web pages and rates of the HTTP API"},
    {"solver", NULL, "looks for solutions of coupled auctions: {\"enabled\": true, ...}"},
    {"signer", NULL, "the process that has the node's key: {\"socket\", \"key\"}"},
};
const size_t node_config_note_count = sizeof node_config_notes / sizeof node_config_notes[0];

void node_config_add_notes(cJSON *root)
{
    for (size_t i = 0; i < node_config_note_count; i++) {
        const struct node_config_note *note = &node_config_notes[i];
        char key[64];
        char text[192];
        if (cJSON_GetObjectItemCaseSensitive(root, note->key) != NULL)
            continue;
        snprintf(key, sizeof key, "# %s", note->key);
        if (note->value != NULL)
            snprintf(text, sizeof text, "%s. Default: %s", note->text, note->value);
        else
            snprintf(text, sizeof text, "%s", note->text);
        cJSON_AddStringToObject(root, key, text);
    }
}
