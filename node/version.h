/* What `flexd --version`, /v1/status and /openapi.json call this release. */
#ifndef FLEX_NODE_VERSION_H
#define FLEX_NODE_VERSION_H

#define FLEX_VERSION "0.1.0"

#endif
