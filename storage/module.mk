storage_SOURCES := $(wildcard storage/*.c)
