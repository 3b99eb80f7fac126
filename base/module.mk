base_SOURCES := $(wildcard base/*.c)
base_CFLAGS := $(INTEGER_ONLY)
