package status

import (
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

func warnOfCredentials(s *signals) []mirror.Warning {
	var found conditional
	found.when(!s.SecretKey, mirror.Warning{
		Code: "secret_key_unset", Severity: mirror.SeverityWarning,
		Message: "No Clerk secret key is configured: nothing can be read from Clerk, and changes that sent no webhook are never repaired.",
		Remedy:  s.remedy("Set CLERK_SECRET_KEY.", "Set Config.SecretKey."),
	})
	found.when(!s.WebhookSecret, mirror.Warning{
		Code: "webhook_secret_unset", Severity: mirror.SeverityError,
		Message: "No webhook signing secret is configured: every event is refused.",
		Remedy: s.remedy("Set CLERK_WEBHOOK_SIGNING_SECRET to the secret of the endpoint in the Clerk dashboard.",
			"Set Config.WebhookSecrets to the secret of the endpoint in the Clerk dashboard."),
	})
	found.when(s.TrustUnproven, mirror.Warning{
		Code: "mirror_unproven", Severity: mirror.SeverityWarning,
		Message: "Stored roles are used for access decisions though nothing proves that the mirror is complete.",
		Remedy: s.remedy("Set CLERK_SECRET_KEY, and leave CLERKSYNC_UNREADY unset or ask.",
			"Set Config.SecretKey, and leave Config.StalePolicy empty."),
	})
	found.when(s.HMACBody, mirror.Warning{
		Code: "hmac_body", Severity: mirror.SeverityWarning,
		Message: "Webhooks are verified by a bare HMAC of the body: anyone who has seen a delivery can send it again later.",
		Remedy: s.remedy("Use Clerk's own signatures (CLERKSYNC_WEBHOOK_SCHEME=svix).",
			"Use Clerk's own signatures: leave Config.WebhookScheme empty."),
	})
	return found
}

func warnOfTokens(s *signals) []mirror.Warning {
	var found conditional
	found.when(s.HS256, mirror.Warning{
		Code: "jwt_hs256", Severity: mirror.SeverityWarning,
		Message: "Tokens are verified with HS256 and a shared secret: they name no session and stay valid after it was revoked.",
		Remedy:  "Use session tokens with RS256 in production.",
	})
	found.when(!s.HS256 && !s.AuthorizedParties, mirror.Warning{
		Code: "authorized_parties_unset", Severity: mirror.SeverityWarning,
		Message: "Tokens that were made for any origin are accepted.",
		Remedy: s.remedy("Set CLERK_AUTHORIZED_PARTIES to the origins of your pages.",
			"Set Config.AuthorizedParties to the origins of your pages."),
	})
	found.when(!s.HS256 && !s.Issuer, mirror.Warning{
		Code: "issuer_unset", Severity: mirror.SeverityInfo,
		Message: "The issuer of tokens is not checked; the keys alone decide which instance's tokens are accepted.",
		Remedy:  s.remedy("Set CLERK_ISSUER or CLERK_PUBLISHABLE_KEY.", "Set Config.Issuer."),
	})
	return found
}

func warnOfDurability(s *signals) []mirror.Warning {
	var found conditional
	found.when(!s.durable, mirror.Warning{
		Code: "sqlite_synchronous_normal", Severity: mirror.SeverityWarning,
		Message: "SQLite does not wait for the disk: acknowledged events can be lost at a power cut.",
		Remedy:  s.remedy("Unset CLERKSYNC_SQLITE_SYNCHRONOUS.", "Open the database without that option."),
	})
	found.when(s.engine == store.SQLite && s.Production, mirror.Warning{
		Code: "sqlite_in_production", Severity: mirror.SeverityInfo,
		Message: "A production instance is mirrored into SQLite, which one machine alone can serve.",
		Remedy:  "Use Postgres where there is more than one replica.",
	})
	return found
}

func warnOfKeys(s *signals) []mirror.Warning {
	var found conditional
	found.when(!s.TokenKeys, mirror.Warning{
		Code: "keys_unavailable", Severity: mirror.SeverityWarning,
		Message: "There is no key to verify tokens with: every request with a token is answered 503.",
		Remedy: s.remedy("Set CLERK_SECRET_KEY, CLERK_PUBLISHABLE_KEY, CLERK_JWKS_URL or CLERK_JWT_KEY.",
			"Set Config.SecretKey, Config.PublishableKey, Config.JWKSURL or Config.JWTKey."),
	})
	found.when(s.keysMissing, mirror.Warning{
		Code: "keys_unavailable", Severity: mirror.SeverityError,
		Message: "The keys that verify tokens cannot be fetched: every request with a token is answered 503.",
		Remedy: s.remedy("See the log for the cause. Check the network, CLERK_SECRET_KEY, and CLERK_JWKS_URL or CLERK_API_URL.",
			"See the log for the cause. Check the network, Config.SecretKey, and Config.JWKSURL or Config.APIURL."),
	})
	return found
}

func warnOfPolicy(s *signals) []mirror.Warning {
	var found conditional
	found.when(s.NoPolicy, mirror.Warning{
		Code: "no_policy", Severity: mirror.SeverityWarning,
		Message: "Forward auth has no route policy: any signed-in user may make any request to the applications behind the proxy.",
		Remedy: s.remedy("Write a policy and name it in CLERKSYNC_POLICY_FILE, or unset CLERKSYNC_TRUSTED_PROXIES if no proxy asks.",
			"Give forwardauth.New a policy."),
	})
	found.when(s.MissingAZP, mirror.Warning{
		Code: "missing_azp_allowed", Severity: mirror.SeverityWarning,
		Message: "Tokens in the Authorization header are accepted though they do not say for which page they were made (claim azp).",
		Remedy: s.remedy("Unset CLERKSYNC_DANGEROUSLY_ALLOW_MISSING_AZP, unless native apps or your own backend call this server.",
			"Unset Config.DangerouslyAllowMissingAuthorizedParty, unless native apps or your own backend call this server."),
	})
	return found
}
