#!/usr/bin/env bash
# Measures backfill and a walk without drift, with the built binary: bench/backfill.sh [USERS] [REPS]
# An emulator in a process of its own has USERS users (100000), three times as many memberships and a hundredth as many
# organizations, and no rate limit. Each repetition reads it into a new SQLite file and, if BENCH_POSTGRES_URL names a
# database, into that; EVERYTHING IN ITS PUBLIC SCHEMA IS DROPPED before; as a superuser. CPU seconds are the clerksync process's, the
# emulator's and (if its processes are on this machine) those of all of Postgres. Counts are checked against the emulator's.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
users=${1:-100000}
reps=${2:-1}
work=$(mktemp -d)
emulator=
trap '[ -z "$emulator" ] || kill "$emulator" 2>/dev/null; rm -rf "$work"' EXIT
(cd "$root" && CGO_ENABLED=0 go build -trimpath -o "$work/clerksync" ./cmd/clerksync)
cd "$work"
organizations=$((users / 100 > 0 ? users / 100 : 1))

./clerksync emulate --json --listen 127.0.0.1:0 --rate-limit off --seed 1 \
  --users "$users" --organizations "$organizations" --memberships $((3 * users)) >keys 2>emulator.log &
emulator=$!
for _ in $(seq 300); do [ -s keys ] && break; sleep 0.1; done
member() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" keys; }
export CLERK_API_URL CLERK_SECRET_KEY CLERKSYNC_API_BUDGET=100% CLERKSYNC_API_LIMIT=1000000 CLERKSYNC_LOG_LEVEL=warn
CLERK_API_URL=$(member api_url)
CLERK_SECRET_KEY=$(member secret_key)
[ -n "$CLERK_SECRET_KEY" ] || { cat emulator.log >&2; exit 1; }

# seconds of CPU that processes have had, their ended children included
cpu() { cat /dev/null "${@/%//stat}" 2>/dev/null | awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); t += $12 + $13 + $14 + $15 } END { printf "%.2f\n", t / hz }'; }
# the processes of the server of BENCH_POSTGRES_URL, if they are here
postgres() {
  local backend parent
  [ -n "${BENCH_POSTGRES_URL:-}" ] || return 0
  backend=$(psql "$BENCH_POSTGRES_URL" -Atc "SELECT pg_backend_pid(), pg_read_file('postmaster.pid', 0, 12)" | head -1)
  parent=${backend#*|}
  grep -qs '^postgres$' "/proc/$parent/comm" && pgrep -P "$parent" | sed 's|^|/proc/|' && echo "/proc/$parent"
}

# run LABEL COMMAND…: what it took, by the rows of its report
run() {
  local label=$1 emulated database wall user sys peak=0 now rows whole drift status=0
  shift
  emulated=$(cpu "/proc/$emulator")
  mapfile -t servers < <(postgres)
  database=$(cpu "${servers[@]}")
  TIMEFORMAT='%R %U %S'
  { time { ./clerksync "$@" --json >report 2>errors & echo $! >pid; wait $!; }; } 2>took &
  local timed=$!
  while kill -0 "$timed" 2>/dev/null; do
    now=$(awk '/VmHWM/ { print $2 }' "/proc/$(cat pid 2>/dev/null)/status" 2>/dev/null || true)
    peak=${now:-$peak}
    sleep 0.1
  done
  wait "$timed" || status=$?
  [ "$status" = 0 ] || { cat errors >&2; echo "$label: exit code $status" >&2; exit 1; }
  read -r wall user sys <took
  mapfile -t servers < <(postgres)
  rows=$(grep -o '"rows":[0-9]*' report | awk -F: '{ n += $2 } END { print n }')
  whole=$(grep -o '"complete":true' report | wc -l)
  drift=$(sed 's/.*"drift_found":\([0-9]*\),"drift_repaired":[0-9]*,"dry_run".*/\1/' report)
  awk -v label="$label" -v rows="$rows" -v wall="$wall" -v cpu="$(awk "BEGIN { print $user + $sys }")" -v peak="$peak" \
    -v e="$(cpu "/proc/$emulator")" -v e0="$emulated" -v d="$(cpu "${servers[@]}")" -v d0="$database" 'BEGIN {
    printf "%-18s %d rows in %.1f s: %.0f rows/s; CPU us/row: clerksync %.1f, emulator %.1f, postgres %.1f; peak %.0f MiB\n",
      label, rows, wall, rows / wall, cpu * 1e6 / rows, (e - e0) * 1e6 / rows, (d - d0) * 1e6 / rows, peak / 1024 }'
  # two roles and their permissions are there, too
  if [ "$rows" -lt $((4 * users + organizations)) ] || [ "$rows" -gt $((4 * users + organizations + 100)) ] || [ "$whole" != 7 ] || [ "$drift" != 0 ]; then
    echo "$label: $rows rows, $whole of 7 lists whole, drift $drift: not what the emulator has" >&2
    exit 1
  fi
}

for i in $(seq "$reps"); do
  DATABASE_URL="sqlite:$work/$i.db" run "sqlite backfill" backfill
  DATABASE_URL="sqlite:$work/$i.db" run "sqlite walk" reconcile
  rm -f "$work/$i.db"*
  if [ -n "${BENCH_POSTGRES_URL:-}" ]; then
    psql "$BENCH_POSTGRES_URL" -qc 'SET client_min_messages = warning; DROP SCHEMA public CASCADE; CREATE SCHEMA public'
    DATABASE_URL=$BENCH_POSTGRES_URL run "postgres backfill" backfill
    DATABASE_URL=$BENCH_POSTGRES_URL run "postgres walk" reconcile
  fi
done
