#!/usr/bin/env bash
# docs/operator.md, "Runbook", with real processes in homes of their own (tests/e2e/runbook.py).
# Usage: test_runbook.sh BUILD
exec tests/e2e/runbook.py "$1"
