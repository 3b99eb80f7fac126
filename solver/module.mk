solver_SOURCES := $(wildcard solver/*.c)
