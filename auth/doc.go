// Package auth verifies Clerk session tokens and answers what their bearer may do. It uses no database and, with a
// static key, no network.
//
//	keys, err := auth.NewRemoteKeySet(auth.RemoteKeySetConfig{URL: "https://clerk.example.com/.well-known/jwks.json"})
//	verifier, err := auth.NewVerifier(auth.Config{
//		Keys:              keys,
//		Issuer:            "https://clerk.example.com",
//		AuthorizedParties: []string{"https://app.example.com"},
//	})
//	reader := auth.NewTokenReader(publishableKey)
//	token, from := reader.Token(r)
//	claims, err := verifier.VerifyFrom(r.Context(), from, token)
//
// # What a verified token is, and is not
//
// [Verifier.Verify] promises that a key of the instance signed this text, that it is a session token (not a machine's,
// an OAuth access token or, with RS256, a JWT template's), that it is valid now, and that it was issued by and made for
// whom the configuration names. It does not promise that the session still exists: a token lives some 60 seconds, and
// neither revocation nor a ban nor a changed role shows before the next one.
//
// A token is read in one way only. The algorithm is configured and never taken from the token. Base64 with padding or
// trailing bits, JSON with duplicate keys or invalid UTF-8, critical headers, missing expiry, and texts above 16 KiB
// are refused. What Verify accepts, go-jose and golang-jwt accept too; the reverse does not hold.
//
// Accepted tokens are remembered, so that one that comes again costs a third of a microsecond and no RSA operation.
// That changes no answer: a remembered token is refused once it has expired or its key is known to be gone.
// [Verifier.Forget] drops those of a session or user.
//
// # Where the token comes from
//
// A [TokenReader] takes the Authorization header, else Clerk's cookies. Cookies are accepted only with
// [Config].AuthorizedParties, and who answers them must also see to it that unsafe methods come from the same origin
// ([net/http.CrossOriginProtection]).
//
// # Keys
//
// [StaticKey] holds the PEM key of Clerk's dashboard, [RemoteKeySet] a JWK set that refreshes itself, [HMACKey] the
// secret of a JWT template with a custom signing key. A [KeySet] of your own may keep keys elsewhere. A [KeyStore]
// keeps the last good set of RemoteKeySet across restarts.
//
// # Rules
//
// A [Rule] decides from a [Subject] alone: the claims and a few stored facts, each of which may be unknown. Unknown
// means refused. [All] and [Any] combine rules, [Func] makes one of a function of yours, and Explain tells for each
// condition what it looked at and where that came from.
//
//	rule := auth.All(auth.MinRole("growth"), auth.Feature("export"), auth.Reverified(auth.Strict()))
//	decision := rule.Check(&auth.Subject{Claims: claims, Role: "solo", Ladder: ladder})
//
// Every refusal is typed ([Error], [Decision]) with a stable code and reason, and quotes nothing of the token.
//
// Sources: RFC 6265, 6750, 7515, 7517, 7518, 7519, 8725, https://clerk.com/docs/guides/sessions/session-tokens,
// https://clerk.com/docs/guides/sessions/manual-jwt-verification,
// https://clerk.com/docs/guides/secure/authorization-checks, https://clerk.com/docs/guides/secure/reverification.
package auth
