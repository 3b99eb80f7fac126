/* Ports on loopback for tests that listen on the same one again. */
#ifndef FLEX_TESTS_LIB_P2P_PORTS_H
#define FLEX_TESTS_LIB_P2P_PORTS_H

#include <stdint.h>

/* A port of 127.0.0.1 that nobody listens on, and that stays this process's until it ends, also
 * while nothing listens on it. Fails the test if there is none. */
uint16_t test_port(void);

#endif
