tools_SOURCES := $(wildcard tools/*.c)
