tools_SOURCES := $(wildcard tools/*.c) $(wildcard tools/*/*.c)
# The word list of mnemonic backups, as C (tools/mnemonic.c).
tools_CFLAGS += -I$(BUILD)/gen
$(BUILD)/gen/bip39_english.inc: tools/data/bip39-english.txt
	@mkdir -p $(@D)
	@sed 's/.*/    "&",/' $< > $@
$(BUILD)/obj/tools/mnemonic.o: $(BUILD)/gen/bip39_english.inc
