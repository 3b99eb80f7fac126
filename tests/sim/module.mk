# The simulator as a test. SEEDS chooses how many; both cores run halves of them.
SEEDS ?= 1000
SIM := $(BUILD)/bin/flexsim

.PHONY: sim sim-epochs sim-upgrade sim-mutants sim-twins sim-test
sim: $(SIM) ## simulate SEEDS=1000 clusters of 4 validators, a fifth as many of 7, on both cores
	@tests/sim/run_seeds.sh $(SIM) $(SEEDS)

sim-epochs: $(SIM) ## validator sets that change, in every run: SEEDS=1000 of 4 validators, of 5 to 31, tours
	@tests/sim/run_epochs.sh $(SIM) $(SEEDS)

# A program with two versions of the rules (tests/targets.mk).
SIM_UPGRADE := $(BUILD)/tests/preview/flexsim
sim-upgrade: $(SIM_UPGRADE) ## new rules voted in, old programs beside new ones: SEEDS=1000 of 4 validators, of 5 and 7
	@tests/sim/run_upgrades.sh $(SIM_UPGRADE) $(SEEDS) halt-early judge-unknown

sim-mutants: $(SIM) ## switch off rules one by one: each must be caught within 800 seeds
	@tests/sim/run_mutants.sh $(SIM) 800

sim-twins: $(SIM) ## the twins campaign: n=4 in 3 rounds whole, more rounds and validators in samples
	@tests/sim/run_twins.sh $(SIM) whole

sim-test: $(SIM) $(SIM_UPGRADE) ## the tier of `make test`: seeds, regressions, determinism, twins, mutants
	@tests/sim/run_seeds.sh $(SIM) $(SEEDS)
	@tests/sim/run_regress.sh $(SIM)
	@tests/sim/run_twins.sh $(SIM) tier
	@tests/sim/run_upgrades.sh $(SIM_UPGRADE) 40 halt-early
	@tests/sim/run_mutants.sh $(SIM) 800
