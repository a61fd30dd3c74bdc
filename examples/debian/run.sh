#!/usr/bin/env bash
# From an empty Debian to a server in production, and on: installs the package, starts the unit with credentials under a
# systemd of its own, lets an emulated Clerk send webhooks, puts nginx in front, takes a backup, hangs the server, lets
# another user read the database, upgrades, restores the backup elsewhere.
#
#   run.sh                   builds two packages from this checkout
#   run.sh OLD.deb NEW.deb   uses these, of which the second one upgrades the first one
#
# It needs Linux with cgroup v2, root, debootstrap, curl and Go (Debian: apt-get install debootstrap curl golang), and the
# package mirror that this machine uses. The Debian is a folder that runs in namespaces of its own, without a network; it is
# removed at the end. What was downloaded is kept in the cache folder: remove ~/.cache/clerksync/debian for a newer Debian.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
PATH=$PATH:/usr/sbin
fail() { echo "error: $*" >&2; exit 1; }
[ "$(id -u)" -eq 0 ] || fail "run this as root: it makes a Debian in a folder"
for program in debootstrap curl unshare nsenter; do
  command -v "$program" >/dev/null || fail "$program is missing (Debian: apt-get install debootstrap curl util-linux)"
done
groups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[ -n "$groups" ] || fail "no cgroup v2 is mounted, which systemd needs"

work=$(mktemp -d)
debian=$work/debian
group=$groups/clerksync-debian-$$
machine= # the process that is systemd in the Debian
outer=   # the one that has its namespaces
finish() {
  status=$?
  [ "$status" -eq 0 ] || [ -z "$machine" ] || inside journalctl --no-pager -n 60 -u clerksync -u nginx -u clerk -u restored >&2 || true
  [ ! -e "$group/cgroup.kill" ] || echo 1 >"$group/cgroup.kill" # the Debian and all that runs there
  [ -z "$machine" ] || kill -KILL "$machine" 2>/dev/null || true # where the kernel is older than 5.14
  wait 2>/dev/null || true
  for _ in $(seq 100); do
    [ -d "$group" ] || break
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
    [ ! -d "$group" ] || sleep 0.1
  done
  rm -rf --one-file-system "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

step() { echo; echo "== $*"; }
# inside COMMAND…: in the Debian, as root, within a minute
inside() { timeout 60 nsenter --target "$machine" --all env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive "$@"; }
# shown COMMAND: prints the line of a document, and runs it in the Debian
shown() {
  echo "\$ $1"
  inside sh -ec "cd /root; $1"
}
# outside ARGUMENTS…: curl with the network of the Debian
outside() { nsenter --target "$machine" --net curl -sS --max-time 20 "$@"; }
# within SECONDS WORDS COMMAND…: until it succeeds
within() {
  local end=$((SECONDS + $1)) words=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || fail "not in time: $words"
    sleep 0.2
  done
  echo "✓ $words"
}
# expect WANTED WORDS COMMAND…: compares what the command prints
expect() {
  local wanted=$1 words=$2 got
  shift 2
  got=$("$@") || true
  [ "$got" = "$wanted" ] || fail "$words: $got, not $wanted"
  echo "✓ $words"
}
property() { inside systemctl show clerksync --property "$1" --value; }
server() { property MainPID; } # as the Debian counts
of_server() { inside awk -v "name=$1:" '$1 == name { print $2 }' "/proc/$(server)/status"; }

source "$here/packages.sh"
source "$here/boot.sh"
source "$here/steps.sh"

make_packages "$@"
make_debian
boot
install_package
start_server
use_server
back_up
hang
share
upgrade
restore_elsewhere
echo
echo "All steps are done."
