# Sourced by run.sh: runs the Debian's systemd as the first process of namespaces, as a container engine does.

boot() {
  step "Its systemd starts"
  mkdir "$group"
  (
    echo "$BASHPID" >"$group/cgroup.procs"
    exec timeout --signal KILL 600 unshare --mount --pid --fork --kill-child --cgroup --uts --ipc --net \
      bash -ec "$(declare -f enter); enter \"\$1\"" enter "$debian" >"$work/boot.log" 2>&1 </dev/null
  ) &
  outer=$!
  for _ in $(seq 200); do
    machine=$(first_process)
    [ -z "$machine" ] || [ ! -S "/proc/$machine/root/run/systemd/private" ] || break
    machine=
    kill -0 "$outer" 2>/dev/null || break
    sleep 0.1
  done
  [ -n "$machine" ] || { cat "$work/boot.log" >&2; fail "systemd does not start in namespaces here"; }
  within 60 "Debian $(cat "$debian/etc/debian_version") is up" inside sh -c 'systemctl is-system-running | grep -E "running|degraded"'
}

# first_process prints the process that is systemd, once it is that.
first_process() {
  local unshare
  for unshare in $(cat "/proc/$outer/task/$outer/children" 2>/dev/null); do
    local child
    for child in $(cat "/proc/$unshare/task/$unshare/children" 2>/dev/null); do
      [ "$(cat "/proc/$child/comm")" != systemd ] || echo "$child"
    done
  done
}

# enter FOLDER makes the folder the root, and becomes systemd.
enter() {
  mount --make-rprivate /
  mount --bind "$1" "$1"
  cd "$1"
  mount -t proc proc proc
  mount -t sysfs -o ro sysfs sys
  mount -t cgroup2 cgroup2 sys/fs/cgroup
  mount -t tmpfs -o mode=755 tmpfs run
  mount -t tmpfs tmpfs tmp
  mount -t tmpfs -o mode=755 tmpfs dev
  local name
  for name in null zero full random urandom tty; do
    touch "dev/$name"
    mount --bind "/dev/$name" "dev/$name"
  done
  mkdir dev/shm dev/pts
  mount -t tmpfs tmpfs dev/shm
  mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
  ln -s pts/ptmx dev/ptmx
  ln -s /proc/self/fd dev/fd
  hostname clerksync-debian
  pivot_root . mnt
  cd /
  umount -l /mnt
  mount --make-rshared / # systemd does not do that in containers, and needs it for credentials
  exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd
}
