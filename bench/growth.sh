#!/usr/bin/env bash
# Measures what ingest, GET /api/auth/me and each rule cost with 10,000, 100,000 and a million users:
# bench/growth.sh [TURNS [SIZES]]
# BENCH_POSTGRES_URL is a Postgres server whose databases clerksync_N are made and removed; without it
# only SQLite is measured. The sizes take turns in one run, and each line has the medians, and the
# greatest size against the smallest. A million users take some 8 GB on each engine. Before each turn
# the database is read once, so that the memory of the system holds it: what the disk takes to read
# a page for the first time is not measured.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
turns=${1:-3}
sizes=${2:-10000 100000 1000000}
work=$(mktemp -d)
server=${BENCH_POSTGRES_URL:-}
named() { echo "${server/\/postgres\?//$1?}"; } # the URL of a database of the server
warm() { # reads a database of Postgres as a whole
  psql -qAtc 'CREATE EXTENSION IF NOT EXISTS pg_prewarm' -c "SELECT sum(pg_prewarm(oid, 'read')) FROM pg_class WHERE relkind IN ('r', 'i', 't')" "$1" >/dev/null
}
remove() {
  rm -rf "$work"
  [ -z "$server" ] || for n in $sizes; do psql -qc "DROP DATABASE IF EXISTS clerksync_$n" "$server" >/dev/null 2>&1 || true; done
}
trap remove EXIT
(cd "$root" && go build -o "$work/scale" ./bench/scale)
cd "$work"
for n in $sizes; do
  ./scale fill --database "sqlite:$work/$n.db" --users "$n" --deliveries "$((n / 10))" 2>/dev/null
  [ -z "$server" ] || {
    psql -qc "CREATE DATABASE clerksync_$n" "$server"
    ./scale fill --database "$(named "clerksync_$n")" --users "$n" --deliveries "$((n / 10))" 2>/dev/null
  }
done
for turn in $(seq "$turns"); do
  for n in $sizes; do
    cat "$work/$n.db" >/dev/null
    ./scale growth --database "sqlite:$work/$n.db" --users "$n" | sed "s/^/sqlite\t$n\t/"
    [ -z "$server" ] || {
      warm "$(named "clerksync_$n")"
      ./scale growth --database "$(named "clerksync_$n")" --users "$n" | sed "s/^/postgres\t$n\t/"
    }
  done
  echo "turn $turn of $turns" >&2
done >results
awk -F'\t' -v sizes="$sizes" '
  { key = $1 "\t" $3; if (!(key in seen)) { seen[key] = 1; order[++keys] = key } values[key, $2, ++count[key, $2]] = $4 }
  function median(key, n,   m, i, j, t, list) { m = count[key, n]; for (i = 1; i <= m; i++) list[i] = values[key, n, i]
    for (i = 2; i <= m; i++) for (j = i; j > 1 && list[j-1] > list[j]; j--) { t = list[j]; list[j] = list[j-1]; list[j-1] = t }
    return list[int((m + 1) / 2)] }
  END { n = split(sizes, size, " "); for (k = 1; k <= keys; k++) { key = order[k]; line = key
    for (i = 1; i <= n; i++) line = line sprintf("\t%.2f us", median(key, size[i]) / 1000)
    printf "%s\t%.2f\n", line, median(key, size[n]) / median(key, size[1]) } }
' results | sort | column -ts "$(printf '\t')"
