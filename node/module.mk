node_SOURCES := $(wildcard node/*.c)
