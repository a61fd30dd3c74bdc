// Package webhook verifies and signs webhooks like Svix does for Clerk: with the symmetric scheme
// `v1` of Standard Webhooks 1.0.
//
// Make a [Verifier] once. Read the body of each request, bounded, and verify it before parsing it:
//
//	verifier, err := webhook.NewVerifier(webhook.Config{Secrets: []string{secret}})
//
//	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
//	message, err := verifier.Verify(r.Header, body)
//
// # Scheme
//
// A delivery carries three headers of one family: svix-id, svix-timestamp and svix-signature, or
// the same with webhook- in place of svix-. The signature is the HMAC-SHA256 of
//
//	id "." timestamp "." body
//
// under the secret of the endpoint, with id, timestamp and body taken exactly as sent. Verify
// therefore needs the raw body: one that was parsed and serialised again does not verify.
//
// # What a verified message proves
//
// [Verifier.Verify] proves that an owner of one of the secrets signed this id, this time and this
// body, and that the time is within the tolerance.
//
// It does not prove that the message is new. Svix repeats deliveries, and within the tolerance
// anyone who saw a delivery can send it again. Remember [Message].ID to recognize duplicates. It
// also does not prove which Clerk instance sent the body, if several instances share a secret.
//
// # Stricter than the reference libraries
//
// The libraries of Svix and Standard Webhooks accept what Verify accepts with [SchemeSvix] and the
// default tolerance, given the same secret and header names that they read. The reverse does not
// hold:
//
//   - A header that occurs twice, and a request with headers of both families, are refused. Two
//     readers of such a request could see different messages.
//   - The timestamp must be canonical (^[1-9][0-9]{0,11}$), because its text is what is signed.
//   - The id holds 1 to 256 printable ASCII characters without space and without full stop. The
//     full stop separates the parts of the signed content. With it allowed in ids, the content
//     "a.1.2.{}" would be the id "a" signed at 1 with the body "2.{}" as well as the id "a.1"
//     signed at 2 with the body "{}", under one signature. Without it the first full stop ends the
//     id, the second ends the timestamp, and each content has one reading. The specification asks
//     senders for the same.
//   - The signature header is bounded, and only exact parts `v1,<base64>` count.
//
// The caller bounds the size of the body and of the request's headers. Svix sends bodies of at most
// about 350 kB.
//
// Sources: https://docs.svix.com/receiving/verifying-payloads/how-manual,
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md,
// https://clerk.com/docs/guides/development/webhooks/overview.
package webhook
