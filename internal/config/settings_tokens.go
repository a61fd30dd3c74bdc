package config

import (
	"time"
)

func claimSettings() []Setting {
	return []Setting{{
		Name:    issuerName,
		Unset:   "derived from CLERK_PUBLISHABLE_KEY; without that key the issuer is not checked",
		Value:   urlValue,
		Example: "https://clerk.example.com",
		Summary: "The issuer of the tokens (claim iss).",
		When:    "When CLERK_PUBLISHABLE_KEY is not set, or tokens come from another host.",
		noun:    "issuer", why: "It is compared exactly with the issuer of each token.",
		binding: bind(func(c *Config) *string { return &c.Issuer }, parseIssuer),
	}, {
		Name:    "CLERK_AUTHORIZED_PARTIES",
		Unset:   "the claim is not checked, and cookies are not accepted",
		Value:   originValue,
		Example: "https://app.example.com",
		Summary: "Origins whose pages may use the tokens (claim azp). Session cookies are accepted only if this is set.",
		When:    "Set it in production to the origins of your front ends.",
		noun:    "authorized party", why: "Tokens of pages on other origins are refused by an exact comparison.",
		binding: bind(func(c *Config) *[]string { return &c.AuthorizedParties }, listOf(parseOrigin)),
	}, {
		Name: missingAZPName, Default: "false",
		Value:   "true or false",
		Summary: "Whether a token without azp is accepted in the Authorization header. In a cookie it never is.",
		When:    "true, when native apps or your own back end call this server and CLERK_AUTHORIZED_PARTIES is set.",
		noun:    "acceptance of tokens without azp", why: "Such a token does not say for which page it was made.",
		binding: bind(func(c *Config) *bool { return &c.AllowMissingAZP }, parseBool),
	}, {
		Name:    "CLERK_AUDIENCE",
		Unset:   "the claim is not checked",
		Value:   "one or more audiences, separated by commas",
		Example: "api.example.com",
		Summary: "Accepted audiences (claim aud).",
		When:    "When your tokens carry an audience.",
		noun:    "audience", why: "Tokens for other audiences are refused by an exact comparison.",
		binding: bind(func(c *Config) *[]string { return &c.Audience }, listOf(anyText)),
	}, {
		Name: "CLERKSYNC_CLOCK_LEEWAY", Default: "5s",
		Value:   "a duration in seconds such as 10s, from 1s to 60s",
		Summary: "How far Clerk's clock may be ahead of this machine's (claims iat and nbf). Tokens do not live longer because of it.",
		When:    "When fresh tokens are refused because the clock of this machine is behind.",
		noun:    "clock leeway", why: "Fresh tokens are refused while the clock of this machine is further behind.",
		binding: bind(func(c *Config) *time.Duration { return &c.ClockLeeway }, durationBetween(time.Second, time.Minute)),
	}}
}

func keySettings() []Setting {
	return []Setting{{
		Name: jwtKeyName, Secret: true, multiline: true,
		Unset:   "Clerk's key set is fetched; with HS256 the secret key is used",
		Value:   "PEM text of an RSA public key, or at least 32 bytes with HS256",
		Summary: "The key that verifies tokens. With RS256 it is the PEM public key of the instance, with HS256 a shared secret.",
		When:    "To verify tokens without fetching keys from Clerk.",
		noun:    "JWT key", why: "Session tokens cannot be verified with it.",
		remedy:  "Copy the JWKS public key from the API keys page in the Clerk dashboard.",
		binding: bind(func(c *Config) *string { return &c.JWTKey }, anyText),
	}, {
		Name:    "CLERK_JWKS_URL",
		Unset:   "the key set comes from the Backend API, or from the Frontend API",
		Value:   urlValue,
		Example: "https://clerk.example.com/.well-known/jwks.json",
		Summary: "The URL of the key set, which is read without the secret key.",
		When:    "When the key set is served at another place than the Frontend API.",
		noun:    "JWKS URL", why: "Anyone who controls this address decides which tokens are valid.",
		binding: bind(func(c *Config) *string { return &c.JWKSURL }, parseURL),
	}, {
		Name: algorithmName, Default: "RS256",
		Value:   "RS256 or HS256",
		Summary: "The signature algorithm of the tokens. HS256 is for custom templates in staging: such tokens know no session.",
		When:    "Leave it unset for session tokens of Clerk.",
		noun:    "JWT algorithm", why: "Tokens signed by another algorithm are refused.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.JWTAlgorithm }, oneOf("RS256", "HS256")),
	}}
}
