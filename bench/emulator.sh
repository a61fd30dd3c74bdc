#!/usr/bin/env bash
# Measures how long the emulator takes to start, and its memory with people: bench/emulator.sh [PEOPLE] [REPS]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
people=${1:-10000}
reps=${2:-10}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$root" && CGO_ENABLED=0 go build -trimpath -o "$work/clerksync" ./cmd/clerksync)

start() { # USERS: until the line with the keys is printed, in ms; then the memory in MiB
  local begin line pid
  begin=$(date +%s%N)
  coproc emulator { exec "$work/clerksync" emulate --json --listen 127.0.0.1:0 --users "$1"; }
  pid=$emulator_PID
  read -r line <&"${emulator[0]}"
  printf '%d ms, ' $((($(date +%s%N) - begin) / 1000000))
  sleep 0.5
  awk '/^VmRSS/ { printf "%d MiB\n", $2 / 1024 }' "/proc/$pid/status"
  kill "$pid"
  wait "$pid" 2>/dev/null || true
}

for users in 0 "$people"; do
  echo "$users people:"
  for _ in $(seq "$reps"); do start "$users"; done
done
