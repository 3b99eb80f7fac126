# libflexverify as others link it: one header, a static and a shared library that show nothing but
# flexverify_*, and a pkg-config file (docs/adr/0024).
FLEXVERIFY_VERSION := $(shell sed -n 's/^ *return "\([0-9.]*\)";$$/\1/p' verify/flexverify.c)
FLEXVERIFY_SO := libflexverify.so.0
FLEXVERIFY_LIBS := -lcjson -lsodium -lsecp256k1

# What of the other modules it needs; the linker says what is missing here.
FLEXVERIFY_SOURCES := $(wildcard verify/*.c base/*.c crypto/*.c contracts/*records.c contracts/state_key*.c) \
                      $(addprefix contracts/,actions.c errors.c events.c genesis.c) \
                      $(addprefix consensus/,header.c vote.c)
FLEXVERIFY_PIC := $(patsubst %.c,$(BUILD)/pic/%.o,$(FLEXVERIFY_SOURCES))

$(BUILD)/pic/%.o: %.c
	@mkdir -p $(@D)
	@echo "  PIC   $<"
	@$(CC) $(CFLAGS_ALL) -fPIC -fno-semantic-interposition $(INTEGER_ONLY) -MMD -MP -c -o $@ $<

$(BUILD)/lib/$(FLEXVERIFY_SO): $(FLEXVERIFY_PIC) verify/flexverify.map
	@mkdir -p $(@D)
	@echo "  LD    $@"
	@$(CC) -shared $(LDFLAGS_ALL) -Wl,-soname,$(FLEXVERIFY_SO) -Wl,--version-script=verify/flexverify.map \
	    -Wl,-z,defs -o $@ $(FLEXVERIFY_PIC) $(FLEXVERIFY_LIBS)

# One object out of what is needed, whose other names are its own.
$(BUILD)/lib/libflexverify.a: $(LINK_verify)
	@mkdir -p $(@D)
	@echo "  AR    $@"
	@rm -f $@
	@$(LD) -r -o $(BUILD)/obj/flexverify.o --whole-archive $(LIB_verify) --no-whole-archive \
	    --start-group $(filter-out $(LIB_verify),$(LINK_verify)) --end-group
	@objcopy -w --keep-global-symbol='flexverify_*' $(BUILD)/obj/flexverify.o
	@$(AR) rcsD $@ $(BUILD)/obj/flexverify.o

# Anew each time: it holds the prefix.
.PHONY: $(BUILD)/lib/flexverify.pc
$(BUILD)/lib/flexverify.pc:
	@mkdir -p $(@D)
	@printf '%s\n' 'prefix=$(PREFIX)' 'includedir=$${prefix}/include' 'libdir=$${prefix}/lib' '' \
	    'Name: flexverify' 'Description: light client of a Flexledger: proofs and digests, offline' \
	    'Version: $(FLEXVERIFY_VERSION)' 'Cflags: -I$${includedir}' 'Libs: -L$${libdir} -lflexverify' \
	    'Libs.private: $(FLEXVERIFY_LIBS)' > $@

.PHONY: library install-library check-library
library: $(BUILD)/lib/libflexverify.a $(BUILD)/lib/$(FLEXVERIFY_SO) $(BUILD)/lib/flexverify.pc ## libflexverify, static and shared, with its pkg-config file
	@true

install-library: library
	install -d $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/share/man/man3
	install -m 644 verify/flexverify.h $(DESTDIR)$(PREFIX)/include/
	install -m 644 $(BUILD)/lib/libflexverify.a $(BUILD)/lib/$(FLEXVERIFY_SO) $(DESTDIR)$(PREFIX)/lib/
	ln -sf $(FLEXVERIFY_SO) $(DESTDIR)$(PREFIX)/lib/libflexverify.so
	install -m 644 $(BUILD)/lib/flexverify.pc $(DESTDIR)$(PREFIX)/lib/pkgconfig/
	install -m 644 docs/man/flexverify.3 $(DESTDIR)$(PREFIX)/share/man/man3/

check-library: library ## install libflexverify somewhere, build the example against it, verify with it
	@tests/e2e/test_library.sh $(BUILD)

-include $(shell find $(BUILD)/pic -name '*.d' 2>/dev/null)
