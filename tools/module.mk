tools_SOURCES := $(wildcard tools/*.c) $(wildcard tools/*/*.c)
