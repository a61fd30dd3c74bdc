package console

import "strings"

// curlScript returns a shell script that sends an event to a server, as Clerk would. It signs with
// openssl and the secret of the environment, so that it contains none.
func curlScript(body string) string {
	return `# Send this event, signed, to a server of yours. Needs openssl and curl.
: "${CLERK_WEBHOOK_SIGNING_SECRET:?set it to the signing secret of that server, whsec_...}"
url="${CLERKSYNC_URL:-http://127.0.0.1:8080}/api/webhooks/clerk"
body=` + shellQuote(body) + `
id="msg_$(openssl rand -hex 14)"
timestamp="$(date +%s)"
key="$(printf %s "${CLERK_WEBHOOK_SIGNING_SECRET#whsec_}" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \n')"
signature="$(printf '%s.%s.%s' "$id" "$timestamp" "$body" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)"
printf %s "$body" | curl -sS "$url" --data-binary @- -H 'Content-Type: application/json' \
  -H "svix-id: $id" -H "svix-timestamp: $timestamp" -H "svix-signature: v1,$signature"
`
}

// emulatorScript returns a shell command that lets an emulator send an event to the endpoints that
// it has, signed with their secrets and as an event of its own instance.
func emulatorScript(body string) string {
	return `# Let an emulated Clerk (clerksync emulate, or clerksync dev) send this event to its webhook endpoints.
printf %s ` + shellQuote(body) + ` |
  curl -sS "${CLERK_API_URL:-http://127.0.0.1:4010}/_emulator/deliveries" --data-binary @-
`
}

// shellQuote returns a text as one word of a POSIX shell.
func shellQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
