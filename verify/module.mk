verify_SOURCES := $(wildcard verify/*.c)
verify_CFLAGS := $(INTEGER_ONLY)
