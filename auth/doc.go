// Package auth verifies Clerk session tokens and answers what their bearer may do. It uses no database and, with a
// static key, no network.
//
//	keys, err := auth.NewRemoteKeys(auth.RemoteConfig{URL: "https://clerk.example.com/.well-known/jwks.json"})
//	verifier, err := auth.NewVerifier(auth.Config{
//		Keys:              keys,
//		Issuer:            "https://clerk.example.com",
//		AuthorizedParties: []string{"https://app.example.com"},
//	})
//	token, ok := auth.BearerToken(r)
//	claims, err := verifier.Verify(r.Context(), token)
//
// # What a verified token is, and is not
//
// [Verifier.Verify] promises that a key of the instance signed this text, that it is a session token (not a machine's,
// an OAuth access token or, with RS256, a JWT template's), that it is valid now, and that it was issued by and made
// for whom the configuration names. It does not promise that the session still exists: a token lives some 60 seconds, and
// neither revocation nor a ban nor a changed role shows before the next one.
//
// A token is read in one way only. The algorithm is configured and never taken from the token. Base64 with padding or
// trailing bits, JSON with duplicate keys or invalid UTF-8, critical headers, missing expiry, and texts above 16 KiB are
// refused. What Verify accepts, go-jose and golang-jwt accept too; the reverse does not hold.
//
// # Keys
//
// [StaticKey] holds the PEM key of Clerk's dashboard, [RemoteKeys] a JWK set that refreshes itself, [HMACKey] the secret
// of a JWT template with a custom signing key. A [KeySet] of your own may keep keys elsewhere.
//
// # Rules
//
// A [Rule] is a pure function of a [Subject]: the claims and a few stored facts. Unknown means refused.
//
// Every refusal is typed ([Error], [Decision]) with a stable code and reason, and quotes nothing of the token.
//
// Sources: RFC 7515, 7517, 7518, 7519, 8725, https://clerk.com/docs/guides/sessions/session-tokens,
// https://clerk.com/docs/guides/sessions/manual-jwt-verification.
package auth
