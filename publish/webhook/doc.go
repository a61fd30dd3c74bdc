// Package webhook sends the changes of a mirror to URLs, as signed webhooks.
//
//	publisher, err := webhook.New(db, m, webhook.Options{})
//	endpoint, secret, err := publisher.Add(ctx, webhook.Endpoint{URL: "https://app.example.com/hooks"})
//	go publisher.Run(ctx)
//
// # Messages
//
// A message says what changed, and no values: its receiver reads what it needs from the mirror, and
// a message that was delayed never overwrites newer data. The body is JSON:
//
//	{"id":"msg_…","type":"user.updated","timestamp":"2026-01-31T12:00:00.000Z","data":{
//	  "kind":"user","id":"user_…","operation":"updated","version":"…","cursor":"184-1f0c22ab",
//	  "clerk_user_id":"user_…","clerk_organization_id":null}}
//
// It is signed as Standard Webhooks 1.0 describe, with the headers webhook-id, webhook-timestamp
// and webhook-signature, so that any of their libraries verifies it. Package
// [github.com/clerksync/clerksync/webhook] does, too. webhook-id is the id in the body. It is the
// same in all attempts, and when the change is sent again after [Publisher.Resume] or
// [Publisher.Resend].
//
// # Delivery
//
// Every change that an endpoint selects is delivered at least once. The receiver recognizes a
// duplicate by the id. The changes of one object arrive in their order: the next one is sent when
// the one before was accepted or given up. Changes of different objects overtake each other.
//
// Any status from 200 to 299 accepts a message. After any other answer, and after none within 15
// seconds, it is sent again after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h, each up to a tenth
// longer at random. The header Retry-After makes a wait longer, up to 10 h. After eight attempts
// the message is given up: it is listed as failed, and can be sent again for 30 days. Redirects are
// not followed. 410 Gone disables the endpoint, as do attempts that all fail for five days.
//
// A process that is killed loses nothing: messages that wait are rows of the database, written in
// one transaction with the endpoint's cursor. Up to 10,000 messages of an endpoint wait there; what
// is beyond that waits in the change feed. If the feed no longer has the changes after an
// endpoint's cursor, the endpoint is disabled ([mirror.WebhookCursorGone]), and never continued
// over the gap.
//
// # Addresses
//
// Receivers must be public: private, loopback, link-local and all other special-purpose addresses
// are refused at the moment of the connection, after the name was resolved. [Options.AllowHosts]
// allows hosts by name. No proxy of the environment is used, and certificates are always verified.
//
// # Reasons of attempts that failed
//
//   - status: the receiver answered with another status than 2xx.
//   - redirect: it answered with a redirect.
//   - timeout: it did not accept the connection in 5 seconds, or did not answer in 15.
//   - connection_refused, connection, tls, dns: it could not be reached so.
//   - address_not_allowed: its name led to an address that is refused.
//   - url_not_allowed: the URL is not https, and its host is not allowed by name any more.
//   - secret: the stored secret is damaged. Rotate it.
//
// # Secrets
//
// The secrets of endpoints are stored in the mirror's database as they are, because they must sign.
// Anyone who reads the table clerk_webhook_endpoints can sign messages in the mirror's name.
package webhook
