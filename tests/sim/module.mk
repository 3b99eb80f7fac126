# The simulator as a test. SEEDS chooses how many; both cores run halves of them.
SEEDS ?= 1000
SIM := $(BUILD)/bin/flexsim

.PHONY: sim sim-mutants sim-test
sim: $(SIM) ## simulate SEEDS=1000 clusters of 4 validators, a fifth as many of 7, on both cores
	@tests/sim/run_seeds.sh $(SIM) $(SEEDS)

sim-mutants: $(SIM) ## switch off rules one by one: each must be caught within 2000 seeds
	@tests/sim/run_mutants.sh $(SIM) 2000

sim-test: $(SIM) ## the tier of `make test`: seeds, regressions, determinism, mutants
	@tests/sim/run_seeds.sh $(SIM) $(SEEDS)
	@tests/sim/run_regress.sh $(SIM)
	@tests/sim/run_mutants.sh $(SIM) 2000
