# Sourced by run.sh: what an operator does. Lines that the documents show are run by `shown`; a test compares them.

install_package() {
  step "Install"
  mkdir "$debian/root/dist"
  cp "$old" "$debian/root/dist/"
  echo 'APT::Get::Assume-Yes "true"; Dpkg::Progress "false"; Dpkg::Use-Pty "false";' >"$debian/etc/apt/apt.conf.d/90answers"
  shown 'apt-get install ./dist/clerksync_*.deb'
  expect disabled "nothing starts before it is configured" inside sh -c 'systemctl is-enabled clerksync || true'
}

# start_server configures what the documents leave to the operator: an emulated Clerk, and nginx.
start_server() {
  step "Credentials and settings, then the start"
  inside systemd-run --quiet --unit clerk --property StandardOutput=file:/run/clerk.env --property StandardError=journal \
    clerksync emulate --env --state /run/clerk.json --webhook-url http://127.0.0.1/api/webhooks/clerk
  within 30 "an emulated Clerk runs" inside grep -q CLERK_WEBHOOK_SIGNING_SECRET /run/clerk.env
  eval "$(inside cat /run/clerk.env)"
  echo "$CLERK_SECRET_KEY" | shown 'install -m 600 /dev/stdin /etc/clerksync/credentials/clerk_secret_key'
  echo "$CLERK_WEBHOOK_SIGNING_SECRET" | shown 'install -m 600 /dev/stdin /etc/clerksync/credentials/clerk_webhook_signing_secret'
  cp "$root/examples/nginx/policy.yaml" "$debian/etc/clerksync/policy.yaml"
  cat >>"$debian/etc/clerksync/clerksync.yaml" <<YAML

clerk_api_url: $CLERK_API_URL
clerksync_trusted_proxies: [127.0.0.1]
clerksync_proxy: nginx
clerksync_policy_file: /etc/clerksync/policy.yaml
YAML
  nginx_in_front
  shown 'systemctl enable --now clerksync'
  shown 'systemctl status --no-pager clerksync'
  expect active "the unit is active" inside systemctl is-active clerksync
  within 30 "systemd shows what the server says: Ready" inside sh -c 'systemctl show clerksync -p StatusText --value | grep -x Ready'
  restricted
}

# nginx_in_front installs the recipe of docs/forward-auth.md, and an application that says who it was told is calling.
nginx_in_front() {
  sed -e 's/127.0.0.1:8000/80/; s|^pid .*|pid /run/nginx.pid;|; s| tmp/| /var/lib/nginx/|; $d' "$root/examples/nginx/nginx.conf" >"$debian/etc/nginx/nginx.conf"
  cat >>"$debian/etc/nginx/nginx.conf" <<'CONF'
    server {
        listen 127.0.0.1:9000;
        location / { return 200 "user=$http_x_clerk_user_id role=$http_x_clerk_role"; }
    }
}
CONF
  inside systemctl restart nginx
}

# restricted compares what the unit promises with the process.
restricted() {
  [ "$(of_server Uid)" -ne 0 ] || fail "the server runs as root"
  echo "✓ the server runs as user $(of_server Uid), which exists while it runs"
  expect 1 "it cannot gain privileges" of_server NoNewPrivs
  expect 0000000000000000 "it has no capabilities" of_server CapBnd
  expect 2 "its system calls are filtered" of_server Seccomp
  expect 600 "its database is for it alone" inside stat -c %a /var/lib/clerksync/clerksync.db
  local said
  said=$(inside sh -ec 'tr "\0" "\n" </proc/$(systemctl show clerksync -p MainPID --value)/environ; journalctl -u clerksync --no-pager')
  grep -q CREDENTIALS_DIRECTORY <<<"$said" || fail "the environment of the server cannot be read"
  grep -q listening <<<"$said" || fail "the log of the server cannot be read"
  ! grep -qF -e "$CLERK_SECRET_KEY" -e "$CLERK_WEBHOOK_SIGNING_SECRET" <<<"$said" || fail "a secret is in the environment or the log"
  echo "✓ no secret is in its environment or its log"
}

json() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" | head -n 1; }
sign_up() {
  outside -X POST "$CLERK_API_URL/v1/users" -H "Authorization: Bearer $CLERK_SECRET_KEY" -H 'Content-Type: application/json' \
    -d "{\"email_address\":[\"$1@example.com\"],\"public_metadata\":{\"role\":\"$2\"}}" | grep -o '"id": *"user_[^"]*"' | head -n 1 | json id
}
token() { outside -X POST "$CLERK_API_URL/_emulator/tokens" -H 'Content-Type: application/json' -d "{\"user_id\":\"$1\"}" | json jwt; }
# page URL-PATH USER: what the application answers through nginx
page() { outside -f "http://127.0.0.1$1" -H "Authorization: Bearer $(token "$2")"; }
known() { [ "$(page /app/ "$1")" = "user=$1 role=$2" ]; }
in_sync() { inside clerksync status --config /etc/clerksync/clerksync.yaml; }
deliveries() { inside clerksync deliveries list --config /etc/clerksync/clerksync.yaml --json | grep -o '"msg_[^"]*"' | sort -u | wc -l; }

use_server() {
  step "Webhooks arrive, and nginx asks about each request"
  within 60 "the copy is in sync" in_sync
  ada=$(sign_up ada growth)
  bob=$(sign_up bob solo)
  within 30 "ada is known, by webhook and through nginx" known "$ada" growth
  within 30 "bob is known" known "$bob" solo
  [ "$(deliveries)" -ge 2 ] || fail "no webhook has arrived"
  expect 401 "nobody else passes" outside -o /dev/null -w '%{http_code}' http://127.0.0.1/app/
  expect 403 "bob may not see the reports" outside -o /dev/null -w '%{http_code}' http://127.0.0.1/reports/ -H "Authorization: Bearer $(token "$bob")"
  shown 'clerksync doctor --config /etc/clerksync/clerksync.yaml'
  shown 'clerksync doctor --config /etc/clerksync/clerksync.yaml --public-url http://127.0.0.1'
}

back_up() {
  step "Backup"
  shown 'clerksync backup --config /etc/clerksync/clerksync.yaml /root/clerksync-backup.db'
  shown 'clerksync restore --check --config /etc/clerksync/clerksync.yaml /root/clerksync-backup.db'
}

hang() {
  step "The watchdog restarts a server that hangs"
  inside sh -ec 'cd /run/systemd/system; mkdir clerksync.service.d
    printf "[Service]\nWatchdogSec=3\nTimeoutAbortSec=3\nRestartSec=0\n" >clerksync.service.d/test.conf
    systemctl daemon-reload; systemctl restart clerksync'
  local before
  before=$(server)
  inside systemctl kill --kill-whom=main --signal STOP clerksync
  within 40 "the watchdog has restarted it" restarted "$before"
  inside sh -c 'journalctl -u clerksync --no-pager | grep -i "watchdog timeout"' >/dev/null || fail "the log does not say why"
  within 30 "it serves again" known "$ada" growth
  inside sh -ec 'rm -r /run/systemd/system/clerksync.service.d; systemctl daemon-reload; systemctl restart clerksync'
}
restarted() { [ "$(server)" != "$1" ] && [ "$(server)" != 0 ] && [ "$(inside systemctl is-active clerksync)" = active ]; }

share() {
  step "An application under another user reads the database, and a port below 1024"
  shown 'useradd --system --shell /usr/sbin/nologin clerksync'
  shown 'useradd --system --shell /usr/sbin/nologin app --groups clerksync'
  mkdir -p "$debian/etc/systemd/system/clerksync.service.d"
  fenced 'ini' "[Service]" "User=" >"$debian/etc/systemd/system/clerksync.service.d/user.conf"
  fenced 'ini' "[Service]" "AmbientCapabilities=" >"$debian/etc/systemd/system/clerksync.service.d/port.conf"
  printf '[Service]\nEnvironment=CLERKSYNC_OPERATOR_LISTEN=127.0.0.1:81\n' >"$debian/etc/systemd/system/clerksync.service.d/listen.conf"
  shown 'systemctl daemon-reload'
  shown 'systemctl restart clerksync'
  expect "clerksync:clerksync 640" "the files belong to the user clerksync" inside stat -L -c '%U:%G %a' /var/lib/clerksync/clerksync.db
  inside runuser -u app -- clerksync users list --database-url sqlite:/var/lib/clerksync/clerksync.db | grep -q "$ada" || fail "app cannot read the database"
  echo "✓ app reads it"
  ! inside runuser -u nobody -- clerksync users list --database-url sqlite:/var/lib/clerksync/clerksync.db >/dev/null 2>&1 || fail "everyone reads the database"
  echo "✓ nobody else does"
  expect 200 "operators are served at port 81" outside -o /dev/null -w '%{http_code}' http://127.0.0.1:81/readyz
}

# fenced LANGUAGE WORDS…: the block of docs/operations.md, "On Debian with systemd", that has all the words
fenced() {
  awk -v language="$1" -v first="$2" -v second="$3" '
    /^### / { in_section = $0 == "### On Debian with systemd" }
    in_section && $0 == "```" language { block = ""; collecting = 1; next }
    collecting && $0 == "```" { collecting = 0; if (index(block, first) && index(block, second)) { printf "%s", block; found = 1; exit } next }
    collecting { block = block $0 "\n" }
    END { exit !found }' "$root/docs/operations.md" || fail "docs/operations.md has no block with $2 and $3"
}

upgrade() {
  step "Upgrade"
  local before
  before=$(server)
  eve=$(sign_up eve growth)
  within 30 "eve is known before the upgrade" known "$eve" growth
  local settings
  settings=$(cksum <"$debian/etc/clerksync/clerksync.yaml")
  rm "$debian/root/dist/"*
  cp "$new" "$debian/root/dist/"
  shown 'apt-get install ./dist/clerksync_*.deb'
  within 60 "the service runs again" restarted "$before"
  expect "$(cksum <"$debian/usr/bin/clerksync")" "with the new binary" inside sh -c 'cksum <"/proc/$(systemctl show clerksync -p MainPID --value)/exe"'
  expect "$settings" "the settings are kept" cksum <"$debian/etc/clerksync/clerksync.yaml"
  for user in "$ada" "$eve"; do within 30 "$user is still known" known "$user" growth; done
  within 60 "the copy is in sync" in_sync
}

restore_elsewhere() {
  step "The backup is restored into another folder"
  inside mkdir -m 700 /srv/restored
  inside env DATABASE_URL=sqlite:/srv/restored/clerksync.db clerksync restore --config /etc/clerksync/clerksync.yaml /root/clerksync-backup.db
  inside systemd-run --quiet --unit restored --setenv DATABASE_URL=sqlite:/srv/restored/clerksync.db \
    clerksync serve --config /etc/clerksync/clerksync.yaml --listen 127.0.0.1:18080 --operator-listen off
  within 60 "its server knows eve, who came after the backup" restored_knows "$eve"
  within 90 "it is in sync" inside env DATABASE_URL=sqlite:/srv/restored/clerksync.db clerksync status --config /etc/clerksync/clerksync.yaml
  inside env DATABASE_URL=sqlite:/srv/restored/clerksync.db clerksync status --config /etc/clerksync/clerksync.yaml
}
restored_knows() { outside -f http://127.0.0.1:18080/api/auth/me -H "Authorization: Bearer $(token "$1")"; }
