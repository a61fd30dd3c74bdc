# Sourced by run.sh: the two packages, and the empty Debian.

# make_packages [OLD.deb NEW.deb]: sets old and new
make_packages() {
  if [ $# -eq 2 ]; then
    old=$(realpath "$1") new=$(realpath "$2")
    return
  fi
  [ $# -eq 0 ] || fail "usage: run.sh [OLD.deb NEW.deb]"
  step "Two packages of this checkout"
  go -C "$root/tools/pack" build -o "$work/pack" .
  local version
  for version in 0.0.1 0.0.2; do # two builds, which differ in their ids
    (cd "$root" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -buildid=$version" -o "$work/clerksync" ./cmd/clerksync &&
      "$work/pack" packages -binary "$work/clerksync" -version "$version" -out "$work/$version")
  done
  old=$(echo "$work"/0.0.1/*.deb) new=$(echo "$work"/0.0.2/*.deb)
  echo "${old##*/}, ${new##*/}"
}

# make_debian makes the Debian of which nothing is configured yet.
make_debian() {
  step "An empty Debian"
  local cache=${XDG_CACHE_HOME:-$HOME/.cache}/clerksync/debian packages=ca-certificates,nginx,systemd suite mirror
  suite=$(. /etc/os-release && [ "$ID" = debian ] && echo "$VERSION_CODENAME" || echo stable)
  mirror=$({ cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null || true; } |
    sed -nE 's/^(URIs: *|deb (\[[^]]*\] *)?)(https?:[^ ]*\/debian\/?)( .*)?$/\3/p' | sed -n 1p)
  local base="$cache/$suite-$packages.tar"
  mkdir -p "$debian" "$cache/packages"
  (
    flock 9 # another run may be making it
    if [ ! -s "$base" ]; then
      timeout 900 debootstrap --variant=minbase --include="$packages" --cache-dir="$cache/packages" "$suite" "$debian" \
        ${mirror:+"$mirror"} >"$work/debootstrap.log" 2>&1 9>&- || { tail -n 20 "$work/debootstrap.log" >&2; exit 1; }
      tar -C "$debian" -cf "$work/base.tar" --exclude=./dev/* --exclude=./var/cache/apt/* .
      mv "$work/base.tar" "$base.new" && mv "$base.new" "$base"
    fi
  ) 9>"$cache/lock"
  rm -rf --one-file-system "$debian"
  mkdir "$debian"
  tar -C "$debian" -xf "$base"
  rm -f "$debian/etc/machine-id"
  : >"$debian/etc/machine-id"
  ln -sf /dev/null "$debian/etc/systemd/system/e2scrub_reap.service" # it looks for disks
  echo "$suite, with $packages"
}
