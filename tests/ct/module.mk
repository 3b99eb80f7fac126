# Constant time around secrets, under valgrind (house rule 24).
$(BUILD)/bin/ct_keys: $(BUILD)/obj/tests/ct/ct_keys.o $(LINK_tools)
	@mkdir -p $(@D)
	@echo "  LD    $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(EXT_tools)

.PHONY: ctime
ctime: $(BUILD)/bin/ct_keys ## signing takes the same time whatever the secret (valgrind)
	@tests/ct/run.sh $(BUILD)/bin/ct_keys
