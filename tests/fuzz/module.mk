# Fuzzing: tests/fuzz/fuzz_NAME.c becomes one libFuzzer program under clang with the address and
# undefined-behaviour sanitizers. Everything it links is built for it, in a build tree of its own.
#   tests/fuzz/corpus/NAME/   what the run starts from, kept small
#   tests/fuzz/regress/NAME/  one input for every defect that fuzzing has found
#   tests/fuzz/lib/           what the targets share; tests/fuzz/seeds.c writes the first corpora
FUZZ_NAMES := $(sort $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_BUILD ?= $(BUILD)/fuzz
FUZZ_SANITIZE := address,undefined,fuzzer-no-link
# Only what the command line says: bash exports a SECONDS of its own.
FUZZ_SECONDS := $(if $(filter command line,$(origin SECONDS)),$(SECONDS),120)
FUZZ_PROGRAMS := $(patsubst %,$(BUILD)/bin/fuzz_%,$(FUZZ_NAMES))
# Keys and cheap signatures of the cluster harness, a store of tree nodes, a small genesis.
FUZZ_LIB_OBJECTS := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/fuzz/lib/*.c)) \
                    $(TESTLIB_consensus) $(TESTLIB_verify) $(BUILD)/obj/tests/lib/crypto/node_store.o $(TESTLIB_node) $(TEST_LIB_OBJECTS)

FUZZ_MAKE = $(MAKE) --no-print-directory -j2 BUILD=$(FUZZ_BUILD) CC=clang OPT=-O1 \
            SANITIZE=$(FUZZ_SANITIZE) CFLAGS=-fno-sanitize-recover=undefined

# Called with the fuzz build's own BUILD, CC and SANITIZE (FUZZ_MAKE above).
$(BUILD)/bin/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(FUZZ_LIB_OBJECTS) $(LINK_tools)
	@mkdir -p $(@D)
	@echo "  LD    $@"
	@$(CC) $(LDFLAGS_ALL) -fsanitize=fuzzer -o $@ $^ $(EXT_tools)

$(BUILD)/bin/make_seeds: $(BUILD)/obj/tests/fuzz/seeds.o $(FUZZ_LIB_OBJECTS) $(LINK_tools)
	@mkdir -p $(@D)
	@echo "  LD    $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(EXT_tools)

.PHONY: fuzz fuzz-regress fuzz-build fuzz-programs fuzz-seeds
fuzz-programs: $(FUZZ_PROGRAMS)

fuzz-build:
	@$(FUZZ_MAKE) fuzz-programs

fuzz: fuzz-build ## fuzz every decoder and the BFT core for SECONDS=n in all (default 120)
	@tests/fuzz/run.sh $(FUZZ_BUILD) $(FUZZ_SECONDS) $(FUZZ_NAMES)

fuzz-regress: fuzz-build ## replay the corpora and the inputs of past defects, once each
	@tests/fuzz/run.sh $(FUZZ_BUILD) 0 $(FUZZ_NAMES)

fuzz-seeds: $(BUILD)/bin/make_seeds ## write the first corpora again
	@mkdir -p tests/fuzz/corpus
	@$(BUILD)/bin/make_seeds tests/fuzz/corpus
