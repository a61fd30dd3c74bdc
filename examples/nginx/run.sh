#!/usr/bin/env bash
# Shows nginx in front of static files, with clerksync deciding who gets them: an emulated Clerk, `clerksync serve` with
# policy.yaml, nginx with nginx.conf. It needs Go, nginx and curl (Debian: apt-get install nginx curl), no account
# and no network, uses ports that are free, and ends all that it started.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
nginx=$(command -v nginx || echo /usr/sbin/nginx)
for program in go curl "$nginx"; do
  command -v "$program" >/dev/null || { echo "error: $program is missing (Debian: apt-get install golang nginx curl)" >&2; exit 1; }
done

work=$(mktemp -d)
pids=()
finish() {
  status=$?
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  [ "$status" -eq 0 ] || tail -n 20 "$work"/*.log >&2
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# start NAME LISTENING-ON COMMAND…: runs it in the background and waits until it listens
start() {
  local name=$1 address=$2
  shift 2
  "$@" >"$work/$name.out" 2>"$work/$name.log" &
  pids+=($!)
  for _ in $(seq 200); do
    (exec 3<>"/dev/tcp/${address%:*}/${address#*:}") 2>/dev/null && return
    kill -0 "${pids[-1]}" 2>/dev/null || break
    sleep 0.05
  done
  echo "error: $name does not listen on $address" >&2
  exit 1
}

port=$((20000 + RANDOM % 12000)) # below 32768, where the system takes ports for connections
free_port() {
  while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
  echo "127.0.0.1:$port"
}
clerk=$(free_port); port=$((port + 1))
sync=$(free_port); port=$((port + 1))
application=$(free_port); port=$((port + 1))
site=$(free_port)

echo "building clerksync"
(cd "$root" && go build -o "$work/clerksync" ./cmd/clerksync)

export CLERKSYNC_LOG_LEVEL=warn
start emulate "$clerk" "$work/clerksync" emulate --listen "$clerk" --env --webhook-url "http://$sync/api/webhooks/clerk"
until grep -q CLERK_JWT_KEY "$work/emulate.out"; do sleep 0.05; done
eval "$(cat "$work/emulate.out")"

# roles count at once: the mirror of an instance that is a second old lacks nothing
DATABASE_URL="sqlite:$work/clerk.db" CLERKSYNC_LISTEN="$sync" CLERKSYNC_OPERATOR_LISTEN=off CLERKSYNC_UNREADY=allow \
  CLERKSYNC_POLICY_FILE="$here/policy.yaml" CLERKSYNC_TRUSTED_PROXIES=127.0.0.1 CLERKSYNC_PROXY=nginx \
  start serve "$sync" "$work/clerksync" serve

# the application: static files, by nginx as well; it answers who it was told is calling
mkdir -p "$work/nginx/tmp" "$work/www/app" "$work/www/reports"
echo "welcome, everybody" >"$work/www/index.html"
echo "the application, for who is signed in" >"$work/www/app/index.html"
echo "the reports, for growth and above" >"$work/www/reports/index.html"
cat >"$work/application.conf" <<CONF
    server {
        listen $application;
        root $work/www;
        add_header X-Application-Sees "user=\$http_x_clerk_user_id role=\$http_x_clerk_role";
    }
}
CONF
sed -e "s/127.0.0.1:8000/$site/; s/127.0.0.1:8080/$sync/; s/127.0.0.1:9000/$application/" -e '$d' "$here/nginx.conf" |
  cat - "$work/application.conf" >"$work/nginx.conf"
start nginx "$site" "$nginx" -p "$work/nginx" -c "$work/nginx.conf" -g 'daemon off; master_process off;'

# two people: one pays, one does not
json() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" | head -n 1; }
sign_up() {
  curl -sS -X POST "$CLERK_API_URL/v1/users" -H "Authorization: Bearer $CLERK_SECRET_KEY" -H 'Content-Type: application/json' \
    -d "{\"email_address\":[\"$1@example.com\"],\"public_metadata\":{\"role\":\"$2\"}}" | grep -o '"id": *"user_[^"]*"' | head -n 1 | json id
}
token() { curl -sS -X POST "$CLERK_API_URL/_emulator/tokens" -H 'Content-Type: application/json' -d "{\"user_id\":\"$1\"}" | json jwt; }
ada=$(sign_up ada growth)
bob=$(sign_up bob solo)
ada_token=$(token "$ada")
bob_token=$(token "$bob")
for _ in $(seq 100); do # until the webhooks have told of both
  curl -sf -o /dev/null "http://$sync/api/auth/me" -H "Authorization: Bearer $bob_token" &&
    curl -sf -o /dev/null "http://$sync/api/auth/me" -H "Authorization: Bearer $ada_token" && break
  sleep 0.05
done

# show WANTED WORDS CURL-ARGUMENTS…
failed=0
show() {
  local wanted=$1 words=$2 answer status sees
  shift 2
  answer=$(curl -sS -i --path-as-is "$@")
  status=$(head -n 1 <<<"$answer" | cut -d ' ' -f 2)
  sees=$(tr -d '\r' <<<"$answer" | sed -n 's/^X-Application-Sees: //p')
  printf '%-52s %s  %s\n' "$words" "$status" "${sees:-(not passed on)}"
  [ "$status" = "$wanted" ] || { failed=1; echo "  expected $wanted" >&2; }
}
echo
show 200 "anybody, the public page" "http://$site/"
show 401 "anybody, /app/" "http://$site/app/"
show 200 "bob (solo), /app/" "http://$site/app/" -H "Authorization: Bearer $bob_token"
show 403 "bob (solo), /reports/" "http://$site/reports/" -H "Authorization: Bearer $bob_token"
show 200 "ada (growth), /reports/" "http://$site/reports/" -H "Authorization: Bearer $ada_token"
show 403 "ada, POST /reports/" -X POST "http://$site/reports/" -H "Authorization: Bearer $ada_token"
show 200 "anybody who claims to be ada, the public page" "http://$site/" -H "X-Clerk-User-Id: $ada" -H "X_Clerk_Role: admin"
show 403 "bob, /app/../reports/" "http://$site/app/../reports/" -H "Authorization: Bearer $bob_token"
show 403 "bob, /app/..%2freports/" "http://$site/app/..%2freports/" -H "Authorization: Bearer $bob_token"
show 403 "ada, what no route names" "http://$site/secret" -H "Authorization: Bearer $ada_token"
curl -sS -o /dev/null -X POST "$CLERK_API_URL/_emulator/users/$ada/sign_out" -d '{}'
for _ in $(seq 100); do
  [ "$(curl -s -o /dev/null -w '%{http_code}' "http://$sync/api/auth/me" -H "Authorization: Bearer $ada_token")" = 401 ] && break
  sleep 0.05
done
show 401 "ada, who has signed out, with the same token" "http://$site/app/" -H "Authorization: Bearer $ada_token"
kill "${pids[1]}" # clerksync itself
wait "${pids[1]}" 2>/dev/null || true
show 500 "bob, while clerksync is down" "http://$site/app/" -H "Authorization: Bearer $bob_token"
exit "$failed"
