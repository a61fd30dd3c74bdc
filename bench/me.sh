#!/usr/bin/env bash
# Measures GET /api/auth/me beside a peer and the bare net/http ceiling, in one run: bench/me.sh PEERS [REPS]
# PEERS is a folder with serve.sh, bin/loadgen, bin/go-clerk-sdk and bin/hello built. The server has core 0, the load
# core 1. Only ratios within one run mean anything: machines differ and drift.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
peers=$(cd "${1:?usage: bench/me.sh PEERS [REPS]}" && pwd)
reps=${2:-3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$root" && CGO_ENABLED=0 go build -trimpath -o "$work/clerksync" ./cmd/clerksync)
cd "$peers"
. ./serve.sh
[ -d .work/keys ] || bin/loadgen -mode keygen -keys .work/keys

load() { taskset -c 1 bin/loadgen -keys .work/keys -url "http://127.0.0.1:$port" -pid "$SPID" "$@"; }
end() { kill "$SPID"; wait "$SPID" 2>/dev/null || true; }

measure() { # LABEL
  load -mode seed -users 1000 -c 8 >/dev/null
  load -mode me -tokens 1000 -c 32 -d 4s -label "$1/known"
  load -mode me -unique -tokens 12000 -c 32 -d 6s -label "$1/never-seen"
  end
}

ours() {
  (cd "$work" && unset CLERK_SECRET_KEY && CLERK_WEBHOOK_SIGNING_SECRET=$(cat "$K/whsec") CLERK_JWT_KEY=$(cat "$K/public.pem") CLERK_ISSUER=https://clerk.example.com \
    DATABASE_URL="sqlite:$work/ours$1.db" exec taskset -c 0 ./clerksync serve --listen "127.0.0.1:$port" --operator-listen off --log-level warn 2>"$work/log") &
  SPID=$!
  for _ in $(seq 100); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return 0
    sleep 0.1
  done
  cat "$work/log" >&2
  return 1
}

port=18490
for i in $(seq "$reps"); do
  port=$((port + 1)) && serve hello "$port" "" 0 && load -mode get -c 32 -d 3s -label hello && end
  port=$((port + 1)) && serve go "$port" "$work/go$i.db" 0 && measure go-clerk-sdk
  port=$((port + 1)) && ours "$i" && measure clerksync
done
