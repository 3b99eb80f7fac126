contracts_SOURCES := $(wildcard contracts/*.c)
contracts_CFLAGS := $(INTEGER_ONLY)
