# The model of the voting rules (docs/spec/consensus-model.md).
.PHONY: model
model: ## verify the model of the voting rules with spin, and that mutants are caught
	@tests/model/run.sh $(abspath $(BUILD))
