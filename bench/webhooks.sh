#!/usr/bin/env bash
# Measures durable webhook ingestion beside a peer, in one run: bench/webhooks.sh PEERS [REPS]
# PEERS is a folder with serve.sh, bin/loadgen and bin/go-clerk-sdk built. Only ratios within
# one run mean anything: machines differ and drift.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
peers=$(cd "${1:?usage: bench/webhooks.sh PEERS [REPS]}" && pwd)
reps=${2:-3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$root" && CGO_ENABLED=0 go build -trimpath -o "$work/clerksync" ./cmd/clerksync)
cd "$peers"
. ./serve.sh
[ -d .work/keys ] || bin/loadgen -mode keygen -keys .work/keys

measure() { # LABEL PORT
  local load=(bin/loadgen -keys .work/keys -url "http://127.0.0.1:$2" -pid "$SPID")
  "${load[@]}" -mode seed -users 1000 -c 8 >/dev/null
  "${load[@]}" -mode webhook -n 20000 -c 32 -d 4s -label "$1/32"
  "${load[@]}" -mode webhook -n 600 -c 1 -d 2s -label "$1/1"
  kill "$SPID"; wait "$SPID" 2>/dev/null || true
}

ours() { # DATABASE_URL PORT
  (cd "$work" && CLERK_WEBHOOK_SIGNING_SECRET=$(cat "$K/whsec") CLERK_JWT_KEY=$(cat "$K/public.pem") DATABASE_URL=$1 \
    exec ./clerksync serve --listen "127.0.0.1:$2" --operator-listen off --log-level warn 2>"$work/log") &
  SPID=$!
  for _ in $(seq 100); do
    (exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null && return 0
    sleep 0.1
  done
  cat "$work/log" >&2
  return 1
}

for i in $(seq "$reps"); do
  serve go 18390 "$work/go$i.db" 0-1 && measure go-clerk-sdk 18390
  ours "sqlite:$work/ours$i.db" 18391 && measure clerksync-sqlite 18391
  [ -z "${BENCH_POSTGRES_URL:-}" ] || { ours "$BENCH_POSTGRES_URL" 18392 && measure clerksync-postgres 18392; }
done
