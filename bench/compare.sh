#!/usr/bin/env bash
# Compares the Go benchmarks of this checkout with those of another revision, by turns, and prints
# what moved: bench/compare.sh REVISION [TURNS] [PACKAGES]
# PACKAGES are folders, all that have a benchmark by default; BENCH selects benchmarks (a regular
# expression, default all) and BENCHTIME how long each runs (default 1s). Each turn runs a package of
# the old revision and then of the new one, so that a neighbour on the machine disturbs both alike.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
revision=${1:?usage: bench/compare.sh REVISION [TURNS] [PACKAGES]}
turns=${2:-5}
work=$(mktemp -d)
trap 'git -C "$root" worktree remove --force "$work/old" 2>/dev/null || true; rm -rf "$work"' EXIT
git -C "$root" worktree add --quiet --detach "$work/old" "$revision"
cd "$root"
packages=${3:-$(git grep -l '^func Benchmark' -- '*_test.go' | xargs -n 1 dirname | sort -u)}

declare -A tests
for package in $packages; do
  for side in old new; do
    from=$root
    [ "$side" = new ] || from=$work/old
    [ -d "$from/$package" ] || { echo "$package is not in $revision: left out" >&2; continue 2; }
    tests[$side/$package]=$work/$side-$(echo "$package" | tr ./ __).test
    (cd "$from" && go test -c -o "${tests[$side/$package]}" "./$package")
  done
done

for turn in $(seq "$turns"); do
  for package in $packages; do
    [ -x "${tests[new/$package]:-}" ] || continue
    for side in old new; do
      from=$root
      [ "$side" = new ] || from=$work/old
      (cd "$from/$package" && "${tests[$side/$package]}" -test.run '^$' -test.bench "${BENCH:-.}" \
        -test.benchtime "${BENCHTIME:-1s}" -test.benchmem >>"$work/$side.txt") || { cat "$work/$side.txt" >&2; exit 1; }
    done
    echo "turn $turn of $turns: $package" >&2
  done
done
go tool -modfile=tools/go.mod benchstat "old=$work/old.txt" "new=$work/new.txt"
