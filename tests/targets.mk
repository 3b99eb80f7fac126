# What people call: `make test` is a tier of every kind of test within 15 minutes on two cores,
# `make test-all` is every tier whole.
.PHONY: test test-all unit clearing e2e asan ubsan tsan compilers day
test: ## install what is missing, build, run a tier of every kind of test
	@scripts/install_deps.sh
	@$(MAKE) --no-print-directory check-source
	@$(MAKE) --no-print-directory -j2 all
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory sim-test
	@$(MAKE) --no-print-directory clearing
	@$(MAKE) --no-print-directory doc-examples
	@$(MAKE) --no-print-directory settling
	@$(MAKE) --no-print-directory books COUNT=120
	@$(MAKE) --no-print-directory coupled-ledger COUNT=100
	@$(MAKE) --no-print-directory surveillance
	@$(MAKE) --no-print-directory compilers
	@$(MAKE) --no-print-directory determinism-quick
	@$(MAKE) --no-print-directory asan QUICK=1
	@$(MAKE) --no-print-directory tsan QUICK=1
	@$(MAKE) --no-print-directory fuzz-regress
	@$(MAKE) --no-print-directory fuzz SECONDS=30
	@$(MAKE) --no-print-directory e2e
	@$(MAKE) --no-print-directory day
	@echo "make test: passed"

.PHONY: package
package: ## Debian packages: built twice alike, installed into a fresh Debian, removed (root)
	@scripts/install_deps.sh packages-deb.txt
	@tests/package.sh

test-all: test api-memory api-load valgrind coupled-large package nemesis namespaces snapshots integrity soak tidy model ctime determinism asan tsan ## every tier whole
	@$(MAKE) --no-print-directory books COUNT=3000
	@$(MAKE) --no-print-directory coupled-ledger COUNT=5000
	@$(MAKE) --no-print-directory clearing-large
	@$(MAKE) --no-print-directory capacity
	@$(MAKE) --no-print-directory coupled-markets
	@$(MAKE) --no-print-directory coupled-horizon COUNT=3000
	@$(MAKE) --no-print-directory sim SEEDS=20000
	@$(MAKE) --no-print-directory sim-epochs SEEDS=5000
	@$(MAKE) --no-print-directory sim-upgrade SEEDS=1000
	@$(MAKE) --no-print-directory sim-mutants
	@$(MAKE) --no-print-directory sim-twins
	@$(MAKE) --no-print-directory fuzz SECONDS=900
	@echo "make test-all: passed"

# Programs that take ten seconds and more each under a sanitizer: `make test` runs them without one, and
# leaves them there to `make asan` and `make tsan`, which test-all runs whole.
SLOW_SANITIZED := solver/test_solver tools/test_audit tools/test_witness contracts/test_book contracts/test_deal contracts/test_coupled_limits \
                  consensus/test_cluster storage/test_journal node/test_api_memory node/test_api_tls_memory p2p/test_links_memory node/test_store_check node/test_chain_work
LEFT_OUT = $(if $(QUICK),$(SLOW_SANITIZED:%=$(BUILD)/tests/unit/%))

unit: ## unit tests, contract tables, vectors, protocol harness
	@$(MAKE) --no-print-directory -j2 $(filter-out $(LEFT_OUT),$(UNIT_TESTS))
	@tests/run_units.sh $(filter-out $(LEFT_OUT),$(UNIT_TESTS))
	@$(if $(QUICK),echo "not run in this tier: $(SLOW_SANITIZED)")

clearing: $(BUILD)/bin/flexclear $(BUILD)/bin/flexsolve ## flexclear against slow models and glpsol, and on bad input; COUNT=n problems per mechanism
	@tests/models/check_clear.py $< $(or $(COUNT),400)
	@tests/models/check_clear_input.py $<
	@tests/models/check_coupled.py $< $(or $(COUNT),100)
	@$(MAKE) --no-print-directory coupled-horizon

.PHONY: coupled-large
coupled-large: $(BUILD)/bin/flexclear $(BUILD)/bin/flexsolve ## coupled auctions against glpsol: many small problems, and some of hundreds of bids; SEED=n
	@tests/models/check_coupled.py $< 3000 $(or $(SEED),1)
	@tests/models/check_coupled.py $< 40 $(or $(SEED),1) --large

.PHONY: capacity
capacity: $(BUILD)/tests/unit/contracts/test_capacity ## thousands of random capacity markets on the ledger against a model of their own; TURNS=n
	@TURNS=$(or $(TURNS),3000) $<

.PHONY: coupled-horizon
coupled-horizon: $(BUILD)/tests/unit/contracts/test_coupled_horizon ## rounds of rolling horizons on the ledger against a model that tries all quantities; COUNT=n cases
	@tests/models/check_horizon.py $< $(or $(COUNT),150)

.PHONY: coupled-markets
coupled-markets: $(BUILD)/tests/unit/contracts/test_coupled_market ## thousands of random coupled auctions on the ledger against a model that tries all quantities; TURNS=n
	@TURNS=$(or $(TURNS),3000) $<

.PHONY: clearing-large doc-examples
clearing-large: $(BUILD)/bin/flexclear ## flexclear on 10^6 bids, and on one more: a gigabyte, a minute
	@tests/models/check_clear_large.py $<

doc-examples: $(BUILD)/bin/flexclear $(BUILD)/bin/flexsettle ## the examples of docs/spec, run by the programs that they are about
	@tests/models/check_doc_examples.py $^

.PHONY: settling
settling: $(BUILD)/bin/flexsettle $(BUILD)/tests/models/ledger_deals ## flexsettle and deals on the ledger against a model written apart from them, on examples, COUNT=n random and real problems
	@tests/models/check_settle.py $< $(or $(COUNT),2500)
	@tests/models/check_ledger.py $(BUILD)/tests/models/ledger_deals 300

.PHONY: books
books: $(BUILD)/bin/flexclear $(BUILD)/tests/models/ledger_book ## order books on the ledger against models written apart from them, and flexclear; COUNT=n random games of each
	@tests/models/check_book.py $(BUILD)/tests/models/ledger_book $< $(or $(COUNT),300)

.PHONY: coupled-ledger
coupled-ledger: $(BUILD)/tests/models/ledger_coupled ## coupled auctions on the ledger, proposals of every kind among them, against a model written apart from them; COUNT=n auctions, SEED=n
	@tests/models/check_coupled_ledger.py $< $(or $(COUNT),300) $(or $(SEED),1)

$(BUILD)/tests/models/ledger_deals $(BUILD)/tests/models/ledger_book $(BUILD)/tests/models/ledger_coupled: $(BUILD)/tests/models/%: $(BUILD)/obj/tests/models/%.o $(TESTLIB_contracts) $(TEST_LIB_OBJECTS) $(LINK_contracts)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ -lcmocka $(EXT_contracts)

# The solver's test starts the worker, and uses the slow model of the contracts' tests.
$(BUILD)/tests/unit/solver/test_solver: $(BUILD)/obj/tests/lib/contracts/coupled_model.o | $(BUILD)/bin/flexsolve
$(BUILD)/tests/unit/node/test_solver_run: | $(BUILD)/bin/flexsolve

$(BUILD)/tests/bench/%: $(BUILD)/obj/tests/bench/%.o $(LINK_contracts)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(EXT_contracts)

$(BUILD)/tests/models/%: $(BUILD)/obj/tests/models/%.o $(TESTLIB_tools) $(TEST_LIB_OBJECTS) $(LINK_tools)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(EXT_tools)

.PHONY: surveillance
surveillance: $(BUILD)/bin/flex $(BUILD)/tests/models/market_export ## the surveillance report against a model written apart from it, on COUNT=n random markets
	@tests/models/check_surveillance.py $(BUILD) $(or $(COUNT),2)

$(BUILD)/tests/bench/bench_meter: $(BUILD)/obj/tests/bench/bench_meter.o $(TESTLIB_tools) $(TEST_LIB_OBJECTS) $(LINK_tools)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(EXT_tools)

$(BUILD)/tests/bench/bench_etcd: $(BUILD)/obj/tests/bench/bench_etcd.o $(LINK_tools)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(EXT_tools)

$(BUILD)/tests/bench/bench_audit: $(BUILD)/obj/tests/bench/bench_audit.o $(TESTLIB_tools) $(TEST_LIB_OBJECTS) $(LINK_tools)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(EXT_tools)

$(BUILD)/tests/bench/bench_check: $(BUILD)/obj/tests/bench/bench_check.o $(TESTLIB_node) $(TEST_LIB_OBJECTS) $(LINK_node)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(EXT_node)

$(BUILD)/tests/bench/bench_book: $(BUILD)/obj/tests/bench/bench_book.o $(TEST_LIB_OBJECTS) $(LINK_storage)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(EXT_storage)

$(BUILD)/tests/bench/bench_block: $(BUILD)/obj/tests/bench/bench_block.o $(TESTLIB_node) $(TEST_LIB_OBJECTS) $(LINK_node)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(EXT_node)

$(BUILD)/tests/bench/bench_coupled: $(BUILD)/obj/tests/bench/bench_coupled.o $(LINK_solver) | $(BUILD)/bin/flexsolve
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(EXT_contracts)

.PHONY: bench-coupled
bench-coupled: $(BUILD)/tests/bench/bench_coupled ## coupled auctions: the check's curve, the floor, a solver's gap on linked bids
	@$< $(BUILD)/bin/flexsolve

.PHONY: bench bench-clear bench-audit bench-check bench-book bench-load
bench-load: $(BUILD)/bin/flexbench $(BUILD)/bin/flexd ## four validators under load, all modes, with the table of stages; SECONDS=n, LOAD_METERS=n
	@$< --seconds $(or $(SECONDS),20) --mode single
	@$< --seconds $(or $(SECONDS),20) --mode batch
	@$< --mode meter --meters $(or $(LOAD_METERS),20000)
bench: bench-clear bench-coupled bench-audit bench-check bench-book bench-load ## a short tier of every bench, some minutes: what things cost, as ratios that hold on any machine

.PHONY: bench-validators bench-recovery bench-compare
bench-validators: all ## throughput, latency, bytes and CPU at 4, 7 and 13 validators (bench/validators.sh)
	@BUILD=$(BUILD) bench/validators.sh
bench-recovery: all ## memory, disk, starts after stop and kill -9, audit after TRANSACTIONS=20000 (bench/recovery.sh)
	@BUILD=$(BUILD) TRANSACTIONS=$(TRANSACTIONS) bench/recovery.sh
bench-compare: all $(BUILD)/tests/bench/bench_etcd ## PostgreSQL and etcd beside flexbench (bench/compare.sh)
	@BUILD=$(BUILD) bench/compare.sh
bench-clear: $(BUILD)/tests/bench/bench_clear
	@$<

bench-audit: $(BUILD)/tests/bench/bench_audit ## flex audit verify against the bound that signatures set; COUNT=n transactions
	@$< $(or $(COUNT),40000)

.PHONY: bench-meter
bench: bench-meter
bench-meter: $(BUILD)/tests/bench/bench_meter ## a day of METERS=2000 meters: ingested, fingerprinted, proven, and one digit changed
	@$< $(or $(METERS),2000) $(or $(THREADS),2)

bench-check: $(BUILD)/tests/bench/bench_check ## flexd check: records per second; BLOCKS=n
	@$< $(or $(BLOCKS),300)

bench-book: $(BUILD)/tests/bench/bench_book ## orders per second through a book on the ledger, in memory and on LMDB; BLOCKS=n
	@$< $(or $(BLOCKS),12)

.PHONY: bench-block
bench: bench-block
bench-block: $(BUILD)/tests/bench/bench_block ## what a transaction costs to build, execute and commit; BLOCKS=n, ACCOUNTS=n
	@$< $(or $(BLOCKS),8) $(or $(ACCOUNTS),20000)

compilers: all ## the whole tree once more under clang, warnings as errors
	@$(MAKE) --no-print-directory -j2 BUILD=$(BUILD)/clang CC=clang all $(patsubst $(BUILD)/%,$(BUILD)/clang/%,$(UNIT_TESTS))
	@tests/sim/same_digest.sh $(BUILD)/bin/flexsim $(BUILD)/clang/bin/flexsim
	@echo "compilers: clean under gcc and clang"

.PHONY: scenarios
scenarios: $(BUILD)/tests/unit/consensus/test_scenarios ## the consensus stories of tests/sim/scenarios; REWRITE=1 writes their traces anew
	@$(if $(REWRITE),FLEX_REWRITE=1) $<

.PHONY: determinism determinism-quick
determinism: ## 200 simulated seeds and the frozen vectors: gcc -O0, gcc -O3, clang, aarch64 under qemu
	@scripts/install_deps.sh packages-determinism.txt
	@tests/determinism.sh $(BUILD)/determinism 200 gcc-O0 gcc-O3 clang-O2 aarch64-O2

determinism-quick: ## 20 simulated seeds: gcc -O0, gcc -O2, clang
	@$(MAKE) --no-print-directory -j2 $(BUILD)/bin/flexsim
	@$(MAKE) --no-print-directory -j2 BUILD=$(BUILD)/clang CC=clang $(BUILD)/clang/bin/flexsim
	@tests/determinism.sh $(BUILD)/determinism 20 gcc-O0 $(BUILD) $(BUILD)/clang

asan: ## unit tests under the address and undefined-behaviour sanitizers
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan SANITIZE=address,undefined OPT=-O1 unit

tsan: ## the threaded parts' tests, and real nodes, under the thread sanitizer
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan SANITIZE=thread OPT=-O1 tsan-units
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan SANITIZE=thread OPT=-O1 tsan-nodes

.PHONY: tsan-units tsan-nodes
# Four real flexd under load, reads, cut links, a kill and a stop; a race makes flexd's exit code 66,
# which the scenario fails on. The libraries below are not instrumented, their locks are seen all the
# same; tests/tsan.supp names the one kind of report that this makes wrong.
tsan-nodes:
	@$(MAKE) --no-print-directory -j2 $(BUILD)/bin/flexd $(BUILD)/bin/flex $(BUILD)/tests/e2e/journal_votes
	@TSAN_OPTIONS="exitcode=66 history_size=4 suppressions=$(CURDIR)/tests/tsan.supp" tests/e2e/nemesis.py $(BUILD) --plain --scenario everyday

tsan-units:
	@$(MAKE) --no-print-directory -j2 $(filter-out $(LEFT_OUT),$(UNIT_p2p) $(UNIT_node))
	@tests/run_units.sh $(filter-out $(LEFT_OUT),$(UNIT_p2p) $(UNIT_node))

.PHONY: coverage coverage-run
coverage: ## line coverage per module of unit tests and simulator; COUNT=100 seeds
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/coverage CC=gcc OPT=-O0 CFLAGS="$(CFLAGS) --coverage -fprofile-update=atomic" LDFLAGS="$(LDFLAGS) --coverage" COUNT=$(or $(COUNT),100) coverage-run

# Every program is built, so that what no test runs counts as well; each object's counters begin anew.
coverage-run:
	@$(MAKE) --no-print-directory -j2 all $(UNIT_TESTS)
	@find $(BUILD)/obj -name '*.gcda' -delete
	@tests/run_units.sh $(UNIT_TESTS)
	@tests/sim/run_seeds.sh $(SIM) $(COUNT)
	@tests/coverage.py $(BUILD)

# The forest of state trees is held against crypto/state_tree.h over its tests' store.
$(BUILD)/tests/unit/storage/test_forest: $(BUILD)/obj/tests/lib/crypto/node_store.o

# Programs with a second version of the rules, which changes one of them (contracts/rules.h).
PREVIEW := $(BUILD)/obj/tests/lib/preview/rules_preview.o
PREVIEW_PROGRAMS := $(BUILD)/tests/preview/flexd $(BUILD)/tests/preview/flex $(BUILD)/tests/preview/flexsim
$(BUILD)/tests/unit/node/test_chain_rules: $(BUILD)/obj/tests/unit/node/test_chain_rules.o $(PREVIEW) $(TESTLIB_node) $(TEST_LIB_OBJECTS) $(LINK_node)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ -lcmocka $(EXT_node)
$(BUILD)/tests/preview/flexd: $(BUILD)/obj/node/flexd_main.o $(PREVIEW) $(LINK_node)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(EXT_node)
$(BUILD)/tests/preview/%: $(BUILD)/obj/tools/%_main.o $(PREVIEW) $(LINK_tools)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(EXT_tools)

# What the end-to-end tests put beside and under the programs.
E2E_HELPERS := $(BUILD)/tests/e2e/faults.so $(BUILD)/tests/e2e/step_faults.so $(BUILD)/tests/e2e/journal_votes $(BUILD)/tests/e2e/spoil_state $(BUILD)/tests/e2e/hostile $(BUILD)/tests/e2e/hold_reader $(BUILD)/tests/e2e/meterd_crash
$(BUILD)/tests/e2e/faults.so $(BUILD)/tests/e2e/step_faults.so: $(BUILD)/tests/e2e/%.so: tests/e2e/helpers/%.c
	@mkdir -p $(@D)
	@$(CC) -std=c11 $(OPT) -g -D_GNU_SOURCE $(WARNINGS) -fPIC -shared -o $@ $< -ldl -lpthread
$(BUILD)/tests/e2e/meterd_crash: $(BUILD)/obj/tests/e2e/helpers/meterd_crash.o $(LINK_tools)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(EXT_tools)
$(BUILD)/tests/e2e/%: $(BUILD)/obj/tests/e2e/helpers/%.o $(LINK_node)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(EXT_node)

# Scripts that take most of a minute each: `make test` leaves them to test-all. `make snapshots` is the long
# form of the second.
E2E_SLOW := tests/e2e/test_runbook.sh tests/e2e/test_snapshot.sh
# The longest begin first, so that the last ones to end are short.
E2E_LONGEST := $(addprefix tests/e2e/test_,nemesis.sh coupled.sh flexbench.sh solver.sh)
E2E_SCRIPTS := $(sort $(wildcard tests/e2e/test_*.sh))
e2e: all library $(E2E_HELPERS) $(PREVIEW_PROGRAMS) ## real processes: clusters, kill -9, bad input over the wire
	@tests/run_e2e.sh $(BUILD) $(E2E_LONGEST) $(filter-out $(E2E_SLOW) $(E2E_LONGEST),$(E2E_SCRIPTS))
	@echo "not run in this tier: $(E2E_SLOW)"

.PHONY: e2e-slow
e2e-slow: all $(E2E_HELPERS) $(PREVIEW_PROGRAMS) ## the end-to-end scripts that are too long for make test: the operator's guide command by command, joining by snapshot
	@tests/run_e2e.sh $(BUILD) $(E2E_SLOW)
	@tests/e2e/test_signer_init.sh $(BUILD) 1

.PHONY: api-memory api-load fuzz-api valgrind
valgrind: all ## four real nodes under valgrind: transfers, reads, one that stops and comes back, no error and no leak
	@tests/e2e/valgrind.py $(BUILD)

api-load: all ## real nodes beside 5,000 slow clients, 10,000 connections and floods, over HTTP and a member's link: an honest order within twice its quiet time
	@tests/e2e/http_load.py $(BUILD)

fuzz-api: fuzz-build ## fuzz the HTTP API over sockets of one process for SECONDS=3600
	@tests/fuzz/run.sh $(FUZZ_BUILD) $$(($(if $(filter command line,$(origin SECONDS)),$(SECONDS),3600) / 2)) api # run.sh counts two at a time

api-memory: ## each allocation of each request of the API fails in turn, under the address sanitizer
	@$(MAKE) --no-print-directory -j2 BUILD=$(BUILD)/asan SANITIZE=address,undefined OPT=-O1 $(BUILD)/asan/tests/unit/node/test_api_memory
	@STRIDE=1 $(BUILD)/asan/tests/unit/node/test_api_memory
	@$(MAKE) --no-print-directory -j2 BUILD=$(BUILD)/asan SANITIZE=address,undefined OPT=-O1 $(BUILD)/asan/tests/unit/node/test_api_tls_memory $(BUILD)/asan/tests/unit/p2p/test_links_memory
	@STRIDE=1 $(BUILD)/asan/tests/unit/node/test_api_tls_memory
	@STRIDE=211 $(BUILD)/asan/tests/unit/p2p/test_links_memory

.PHONY: namespaces
namespaces: all ## four network namespaces with 40 ms and 1 % loss for SECONDS=n, and one of them cut off (root)
	@tests/e2e/test_namespaces.sh $(BUILD) $(or $(SECONDS),60) || { code=$$?; [ $$code -eq 77 ] || exit $$code; }

.PHONY: snapshots
snapshots: all $(E2E_HELPERS) ## real processes join by snapshot beside a liar, and prune two months; SEED=n
	@tests/e2e/snapshot.py $(BUILD) --seed $(or $(SEED),1)

.PHONY: integrity
integrity: all $(BUILD)/tests/unit/node/test_store_check ## many flipped bits in databases: found or harmless, never a wrong answer; FLIPS=n
	@FLIPS=$(or $(FLIPS),5000) $(BUILD)/tests/unit/node/test_store_check
	@tests/e2e/integrity.py $(BUILD) --flips $(or $(COPIES),150)

.PHONY: nemesis
nemesis: all $(E2E_HELPERS) ## every fault scenario on real processes; SEED=1
	@tests/e2e/nemesis.py $(BUILD) --scenario all --seed $(or $(SEED),1)

.PHONY: soak soak-faults soak-load
soak: soak-load soak-faults ## MINUTES=10 at 80 % load with everything flat, then as long under random faults

soak-load: all ## a real network at 80 % of what it carries for MINUTES=10: memory, descriptors and latency flat; RATE=n
	@tests/e2e/test_bench_soak.py
	@bench/soak.py $(BUILD) --minutes $(or $(MINUTES),10) --rate $(or $(RATE),0) --out $(BUILD)/soak-load.csv

soak-faults: all $(E2E_HELPERS) ## a real network under load and random faults for MINUTES=10, its growth bounded and recorded; SEED=1
	@tests/e2e/soak.py $(BUILD) --minutes $(or $(MINUTES),10) --seed $(or $(SEED),1) --samples $(BUILD)/soak-samples.json

day: all ## the demonstration day on the bundled data and, where it is there, on ../shared/data
	@tests/e2e/run_days.sh $(BUILD)

run: ## install what is missing, build, play one market day on four validators; ONESHOT=1, DATA=DIR
	@scripts/install_deps.sh
	@$(MAKE) --no-print-directory -j2 all
	@examples/day/run.sh $(BUILD) "$(DATA)" "$(ONESHOT)"
.PHONY: run

# Tests whose allocations fail stand in front of malloc; no other program does.
FAILING_ALLOCATOR := $(BUILD)/obj/tests/lib/allocator/failing.o
$(BUILD)/tests/unit/node/test_api_tls_memory $(BUILD)/tests/unit/p2p/test_links_memory: $(FAILING_ALLOCATOR)
$(BUILD)/tests/unit/node/test_api_tls_memory: EXT_node += -lgmp
