crypto_SOURCES := $(wildcard crypto/*.c)
