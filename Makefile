# Flexledger. `make help` lists the targets; docs/ARCHITECTURE.md tells what each folder is for.
.DEFAULT_GOAL := all
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
.SECONDARY:

BUILD ?= build
ifeq ($(origin CC),default)
CC := gcc
endif
OPT ?= -O2
SANITIZE ?=

# Every warning that the two compilers can agree on, and none of them is advice.
WARNINGS := -Wall -Wextra -Wpedantic -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Wvla -Wundef -Wformat=2 -Wwrite-strings -Wpointer-arith -Wswitch-enum
# Instrumented code hides value ranges from gcc's flow analysis, which then guesses; the plain builds
# keep these two.
SANITIZE_WARNINGS := $(if $(and $(SANITIZE),$(findstring gcc,$(CC))),-Wno-format-truncation -Wno-maybe-uninitialized)
CFLAGS_ALL := -std=c11 $(OPT) -g -fno-strict-aliasing -fstack-protector-strong -D_GNU_SOURCE \
              $(WARNINGS) $(SANITIZE_WARNINGS) -I. $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer) $(CFLAGS)
# A program starts with the libraries that it calls, not with all that its module may call.
LDFLAGS_ALL := -Wl,--as-needed $(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(LDFLAGS)

# Contracts, consensus and base must give the same bits on every machine, so a floating-point
# operation in them must not even compile (docs/ARCHITECTURE.md, "Integers only").
INTEGER_ONLY := -mgeneral-regs-only -Wconversion -Wno-sign-conversion

# Modules from the ground floor up. A module may use those before it; scripts/check_layers.sh
# holds the exact rule and `make check-source` enforces it.
MODULES := base crypto consensus contracts verify storage p2p solver node tools

include $(foreach m,$(MODULES),$(wildcard $(m)/module.mk))
include tests/module.mk
include scripts/module.mk

define module_rules
$(1)_OBJECTS := $$(patsubst %.c,$(BUILD)/obj/%.o,$$(filter-out %_main.c,$$($(1)_SOURCES)))
ifneq ($$($(1)_OBJECTS),)
LIB_$(1) := $(BUILD)/lib/libflex_$(1).a
else
LIB_$(1) :=
endif
$(BUILD)/obj/$(1)/%.o: $(1)/%.c
	@mkdir -p $$(@D)
	@echo "  CC    $$<"
	@$$(CC) $$(CFLAGS_ALL) $$($(1)_CFLAGS) -MMD -MP -c -o $$@ $$<
$(BUILD)/lib/libflex_$(1).a: $$($(1)_OBJECTS)
	@mkdir -p $$(@D)
	@echo "  AR    $$@"
	@rm -f $$@
	@$$(AR) rcsD $$@ $$^
endef
$(foreach m,$(MODULES),$(eval $(call module_rules,$(m))))

# The libraries that a module links: itself and all below it, highest first.
LINK_base := $(LIB_base)
LINK_crypto := $(LIB_crypto) $(LINK_base)
LINK_consensus := $(LIB_consensus) $(LINK_crypto)
LINK_contracts := $(LIB_contracts) $(LINK_crypto)
LINK_verify := $(LIB_verify) $(LIB_consensus) $(LINK_contracts)
LINK_storage := $(LIB_storage) $(LIB_consensus) $(LINK_contracts)
LINK_p2p := $(LIB_p2p) $(LIB_consensus) $(LINK_contracts)
LINK_solver := $(LIB_solver) $(LINK_contracts)
LINK_node := $(LIB_node) $(LIB_verify) $(LIB_p2p) $(LIB_solver) $(LINK_storage)
LINK_tools := $(LIB_tools) $(LINK_node)

EXT_base := -lcjson
EXT_crypto := -lsecp256k1 -lsodium $(EXT_base)
EXT_consensus := $(EXT_crypto)
EXT_contracts := $(EXT_crypto)
EXT_verify := $(EXT_crypto)
EXT_storage := -llmdb $(EXT_crypto)
EXT_p2p := -lnng -lmbedtls -lmbedx509 -lmbedcrypto -lpthread $(EXT_crypto)
EXT_solver := -lglpk -lm $(EXT_crypto)
EXT_node := -lmicrohttpd -lgnutls $(EXT_p2p) -llmdb
EXT_tools := -lcurl $(EXT_node) -lm

$(foreach m,$(MODULES),$(eval $(call unit_rules,$(m))))

PROGRAMS := $(foreach m,$(MODULES),$(patsubst $(m)/%_main.c,$(BUILD)/bin/%,$(wildcard $(m)/*_main.c)))

define program_rules
$(BUILD)/bin/%: $(BUILD)/obj/$(1)/%_main.o $$(LINK_$(1))
	@mkdir -p $$(@D)
	@echo "  LD    $$@"
	@$$(CC) $$(LDFLAGS_ALL) -o $$@ $$^ $$(EXT_$(1))
endef
$(foreach m,tools node solver,$(if $(wildcard $(m)/*_main.c),$(eval $(call program_rules,$(m)))))

include verify/library.mk
include tests/fuzz/module.mk
include tests/model/module.mk
include tests/sim/module.mk
include tests/ct/module.mk
include tests/targets.mk

.PHONY: all clean help
all: $(PROGRAMS) $(foreach m,$(MODULES),$(LIB_$(m))) ## build everything; warnings are errors
	@true

clean: ## remove what was built
	rm -rf $(BUILD)

DESTDIR ?=
PREFIX ?= /usr/local
.PHONY: install
install: all install-library ## install programs, libflexverify and guides under DESTDIR/PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin
	for d in . docs docs/spec docs/adr docs/examples docs/monitoring; do install -d $(DESTDIR)$(PREFIX)/share/doc/flexledger/$$d; done
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin/
	install -d $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 docs/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -D -m 644 tools/service/flexd.service $(DESTDIR)$(PREFIX)/lib/systemd/system/flexd.service
	install -D -m 644 tools/service/flexsignd.service $(DESTDIR)$(PREFIX)/lib/systemd/system/flexsignd.service
	install -D -m 644 tools/completion/flex.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/flex
	install -D -m 644 tools/completion/_flex $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_flex
	install -D -m 644 tools/completion/flex.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/flex.fish
	install -m 644 README.md CHANGELOG.md $(DESTDIR)$(PREFIX)/share/doc/flexledger/
	for d in docs docs/spec docs/adr; do install -m 644 $$d/*.md $(DESTDIR)$(PREFIX)/share/doc/flexledger/$$d/; done
	install -m 644 docs/examples/*.c $(DESTDIR)$(PREFIX)/share/doc/flexledger/docs/examples/
	install -m 644 docs/monitoring/* $(DESTDIR)$(PREFIX)/share/doc/flexledger/docs/monitoring/

.PHONY: man
man: $(BUILD)/bin/flex $(BUILD)/bin/flexmeterd $(BUILD)/bin/flexsignd ## write docs/man/flex.1, flexmeterd.1 and flexsignd.1 anew from the command tables
	$(BUILD)/bin/flex help --man > docs/man/flex.1
	$(BUILD)/bin/flexmeterd help --man > docs/man/flexmeterd.1
	$(BUILD)/bin/flexsignd help --man > docs/man/flexsignd.1

help: ## list the targets
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
