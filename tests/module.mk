# Unit tests: tests/unit/MODULE/test_NAME.c becomes one cmocka program that links MODULE and what
# lies below it, so that a test can't lean on a layer above the one that it tests.
TEST_LIB_SOURCES := $(wildcard tests/lib/*.c)
TEST_LIB_OBJECTS := $(patsubst %.c,$(BUILD)/obj/%.o,$(TEST_LIB_SOURCES))

$(BUILD)/obj/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

define unit_rules
UNIT_$(1) := $$(patsubst tests/%.c,$(BUILD)/tests/%,$$(wildcard tests/unit/$(1)/test_*.c))
UNIT_TESTS += $$(UNIT_$(1))
# tests/lib/MODULE holds what the tests of one module share, tests/lib itself what those of all do.
TESTLIB_$(1) := $$(patsubst %.c,$(BUILD)/obj/%.o,$$(wildcard tests/lib/$(1)/*.c))
$(BUILD)/tests/unit/$(1)/%: $(BUILD)/obj/tests/unit/$(1)/%.o $$(TESTLIB_$(1)) $$(TEST_LIB_OBJECTS) $$(LINK_$(1))
	@mkdir -p $$(@D)
	@$$(CC) $$(LDFLAGS_ALL) -o $$@ $$^ -lcmocka $$(EXT_$(1))
.PHONY: unit-$(1)
unit-$(1): $$(UNIT_$(1))
	@tests/run_units.sh $$(UNIT_$(1))
endef
UNIT_TESTS :=

# The rival attacks a ledger with the meter operator's own tools, so it needs the ledger's fixtures, too.
$(BUILD)/tests/unit/tools/test_rival: $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/lib/contracts/*.c))
