#!/usr/bin/env bash
# Measures GET /api/auth/me beside a peer and its limit, in one run: bench/me.sh PEERS [REPS]
# PEERS is a folder with serve.sh, bin/loadgen and bin/go-clerk-sdk built. The limit is bench/limit, a bare net/http
# server with the timeouts of clerksync that reads the same requests and writes the same answer, headers included; for
# never-seen tokens it also verifies the signature, by crypto/rsa. The last lines are what part of its limit clerksync
# reaches: by requests a second, and by CPU.
# The servers have core 0, of which one works at a time, the load has core 1. They take turns of two seconds, so that a
# neighbour on the machine disturbs all of them alike. Only ratios within one run mean anything: machines differ and drift.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
peers=$(cd "${1:?usage: bench/me.sh PEERS [REPS]}" && pwd)
reps=${2:-3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$root" && CGO_ENABLED=0 go build -trimpath -o "$work/clerksync" ./cmd/clerksync && CGO_ENABLED=0 go build -trimpath -o "$work/limit" ./bench/limit)
cd "$peers"
. ./serve.sh
[ -d .work/keys ] || bin/loadgen -mode keygen -keys .work/keys

declare -A ports pids

load() { # SERVER ARGUMENTS…
  local server=$1
  shift
  taskset -c 1 bin/loadgen -keys .work/keys -url "http://127.0.0.1:${ports[$server]}" -pid "${pids[$server]}" -label "$server" "$@"
}

ours() {
  (cd "$work" && unset CLERK_SECRET_KEY && CLERK_WEBHOOK_SIGNING_SECRET=$(cat "$K/whsec") CLERK_JWT_KEY=$(cat "$K/public.pem") \
    CLERK_ISSUER=https://clerk.example.com DATABASE_URL="sqlite:$work/ours.db" \
    exec taskset -c 0 ./clerksync serve --listen "127.0.0.1:$1" --operator-listen off --log-level warn 2>"$work/log") &
  listening "$1"
}

limit() { # PORT ARGUMENTS…
  local port=$1
  shift
  taskset -c 0 "$work/limit" --like "http://127.0.0.1:${ports[clerksync]}" --listen "127.0.0.1:$port" "$@" 2>"$work/log" &
  listening "$port"
}

listening() { # PORT: waits for the server that was started last
  SPID=$!
  for _ in $(seq 100); do
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return 0
    sleep 0.1
  done
  cat "$work/log" >&2
  return 1
}

trap 'kill "${pids[@]}" 2>/dev/null; rm -rf "$work"' EXIT
ports=([limit]=18491 [go-clerk-sdk]=18492 [clerksync]=18493 [limit-rsa]=18494)
serve go "${ports[go-clerk-sdk]}" "$work/go.db" 0 && pids[go-clerk-sdk]=$SPID
ours "${ports[clerksync]}" && pids[clerksync]=$SPID
limit "${ports[limit]}" && pids[limit]=$SPID
limit "${ports[limit-rsa]}" --key "$K/public.pem" && pids[limit-rsa]=$SPID
for server in go-clerk-sdk clerksync; do load "$server" -mode seed -users 1000 -c 8 >/dev/null; done
for _ in $(seq "$reps"); do
  for server in limit go-clerk-sdk clerksync; do load "$server" -mode me -tokens 1000 -c 32 -d 2s; done
  for server in limit-rsa go-clerk-sdk clerksync; do load "$server" -mode me -unique -tokens 12000 -c 32 -d 2s; done
done | tee "$work/results"
echo
awk -F'[:,]' '
  { label = $2; gsub(/"/, "", label); if ($0 ~ /"unique":true/) label = label " never-seen"
    for (i = 1; i < NF; i++) { if ($i == "\"per_sec\"") rate = $(i+1); if ($i == "\"server_cpu_us_per_op\"") cpu = $(i+1); if ($i == "\"p99_us\"") p99 = $(i+1) }
    n[label]++; rates[label, n[label]] = rate + 0; cpus[label, n[label]] = cpu + 0; p99s[label, n[label]] = p99 + 0 }
  function median(of, label,   i, j, t, m, list) { m = n[label]; for (i = 1; i <= m; i++) list[i] = of[label, i]
    for (i = 2; i <= m; i++) for (j = i; j > 1 && list[j-1] > list[j]; j--) { t = list[j]; list[j] = list[j-1]; list[j-1] = t }
    return list[int((m + 1) / 2)] }
  function part(ours, limit) { printf "%-26s %.2f of %s by requests, %.2f by CPU\n", "~ " ours, median(rates, ours) / median(rates, limit), limit, median(cpus, limit) / median(cpus, ours) }
  END { for (label in n) printf "%-26s median of %d: %8.0f req/s, p99 %5.1f ms, %5.1f us of server CPU\n", label, n[label], median(rates, label), median(p99s, label) / 1000, median(cpus, label)
    part("clerksync", "limit"); part("clerksync never-seen", "limit-rsa never-seen") }
' "$work/results" | LC_ALL=C sort
