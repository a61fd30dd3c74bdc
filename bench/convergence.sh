#!/bin/sh
# Prints the table "Convergence by loss rate" of RESULTS.md. Usage: bench/convergence.sh [USERS]
set -eu
cd "$(dirname "$0")/.."
echo '| engine | events lost | users | lost | rows repaired | API calls | time | and waited for deletions |'
echo '|---|---|---|---|---|---|---|---|'
CLERKSYNC_TEST_USERS="${1:-10000}" go test ./internal/reconcile -run TestConvergenceByLoss -count=1 -parallel 1 -v -timeout 60m |
	sed -n 's/^.*convergence_test.go:[0-9]*: \(|.*|\)$/\1/p' | sort
