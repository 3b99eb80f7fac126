p2p_SOURCES := $(wildcard p2p/*.c)
