// Package auth verifies Clerk's tokens and decides what their bearer may do. It uses no
// database. With a static key it uses no network either.
//
// Make a [Verifier] and a [TokenReader] once, at start:
//
//	keys, err := auth.NewRemoteKeySet(auth.RemoteKeySetConfig{
//		URL: "https://clerk.example.com/.well-known/jwks.json",
//	})
//	verifier, err := auth.NewVerifier(auth.Config{
//		Keys:              keys,
//		Issuer:            "https://clerk.example.com",
//		AuthorizedParties: []string{"https://app.example.com"},
//	})
//	reader := auth.NewTokenReader(publishableKey)
//
// For each request, read the token and verify it:
//
//	token, source := reader.Token(r)
//	claims, err := verifier.VerifyFrom(r.Context(), source, token)
//
// # What a verified token proves
//
// [Verifier.Verify] proves that a key of the instance signed the token, that the token is valid
// now, and that it was issued by and made for those that the configuration names. It proves that
// the token is a session token: not a machine token, an OAuth access token or, with RS256, the
// token of a JWT template.
//
// It does not prove that the session still exists. Clerk's tokens live about 60 seconds. A revoked
// session, a ban or a changed role shows in the next token only.
//
// # Strict reading
//
// There is one way to read a token. The algorithm is configured and never taken from the token.
// Verify refuses base64 with padding or trailing bits, JSON with duplicate keys or invalid UTF-8,
// critical headers, tokens without expiry, and tokens above 16 KiB. The libraries go-jose and
// golang-jwt accept every token that Verify accepts. The reverse does not hold.
//
// # Cache
//
// A verifier remembers the tokens that it accepted. A token that comes again costs a third of a
// microsecond and no RSA operation. This changes no result: the verifier refuses a remembered token
// once it has expired or its key is known to be gone. [Verifier.Forget] removes the tokens of a
// session or user.
//
// # Where the token comes from
//
// A [TokenReader] takes the token of the Authorization header, or else of Clerk's cookies. Cookies
// need [Config].AuthorizedParties. An application that accepts cookies must also check that
// requests with unsafe methods come from its own pages: see [net/http.CrossOriginProtection].
//
// # Machines
//
// A [MachineVerifier] verifies the other kinds of Clerk's tokens: API keys, OAuth access tokens and
// M2M tokens. It verifies those that are JWTs itself, and asks an [OpaqueVerifier] about those that
// only Clerk can read. A route accepts them only if its rule has [Accept]:
//
//	rule := auth.All(auth.Accept(auth.APIKey, auth.M2M), auth.Scope("deals:read"))
//	claims, err := machines.Verify(r.Context(), auth.Accepted(rule), token, address)
//
// # Keys
//
//   - [StaticKey] holds the PEM key of Clerk's dashboard.
//   - [RemoteKeySet] fetches a JWK set and refreshes it. A [KeyStore] keeps its last good set
//     across restarts.
//   - [HMACKey] holds the secret of a JWT template with a custom signing key.
//   - A [KeySet] of your own may keep keys elsewhere.
//
// # Rules
//
// A [Rule] decides from a [Subject] alone: the claims and a few stored facts. A fact may be
// unknown, and what is unknown never grants anything. [All] and [Any] combine rules, and [Func]
// makes a rule of a function. Explain lists each condition with the facts that it used and their
// sources.
//
//	rule := auth.All(auth.MinRole("growth"), auth.Feature("export"), auth.Reverified(auth.Strict()))
//	decision := rule.Check(&auth.Subject{Claims: claims, Role: "solo", Ladder: ladder})
//
// Every refusal has a type ([Error] or [Decision]) with a stable code and reason. None quotes the
// token.
//
// Sources: RFC 6265, 6750, 7515, 7517, 7518, 7519, 8725,
// https://clerk.com/docs/guides/sessions/session-tokens,
// https://clerk.com/docs/guides/sessions/manual-jwt-verification,
// https://clerk.com/docs/guides/secure/authorization-checks,
// https://clerk.com/docs/guides/secure/reverification.
package auth
