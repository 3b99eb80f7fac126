# Checks that compile nothing, and the packages that everything needs.
.PHONY: deps check-source format tidy
deps: ## install every Debian package that building, running and testing need
	@scripts/install_deps.sh

check-source: ## formatting, lint, layering, sizes, citations; compiles nothing
	@scripts/check_source.sh

format: ## lay out every source file as .clang-format says
	@clang-format -i $$(git ls-files '*.c' '*.h')

tidy: $(BUILD)/gen/bip39_english.inc ## clang-tidy over the sources (slow; part of test-all)
	@clang-tidy --quiet $$(git ls-files '*.c' | grep -v '^tests/') -- -std=c11 -D_GNU_SOURCE -I. -Iverify -I$(BUILD)/gen
