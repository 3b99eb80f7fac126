/* Assertions of contract tests that speak in error names, so that a failure reads as a sentence. */
#ifndef FLEX_TESTS_EXPECT_H
#define FLEX_TESTS_EXPECT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "contracts/errors.h"

#define assert_status(expected, actual)                                                            \
    assert_string_equal(contract_error_name(expected), contract_error_name(actual))

#endif
