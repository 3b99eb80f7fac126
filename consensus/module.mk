consensus_SOURCES := $(wildcard consensus/*.c)
consensus_CFLAGS := $(INTEGER_ONLY)
