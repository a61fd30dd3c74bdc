#!/bin/sh
# Before removal (Debian: remove; RPM: 0), and not before an upgrade. /etc/clerksync and /var/lib/clerksync stay.
set -e
case "${1:-}" in remove | 0) ;; *) exit 0 ;; esac
[ -d /run/systemd/system ] || exit 0
systemctl disable --now clerksync.service
