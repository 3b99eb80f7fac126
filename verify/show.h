/* Records and events that have been proven, as JSON for people and programs. */
#ifndef FLEX_VERIFY_SHOW_H
#define FLEX_VERIFY_SHOW_H

#include "base/bytes.h"

struct cJSON;

/* Appends the events of one receipt to the array `list`, each its record's fields with "type" added
 * (docs/spec/api.md); false if they are not what they must be, or memory ran out. */
bool show_events(struct cJSON *list, struct bytes_view events);

#endif
