package clerksync

import (
	"context"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/webhook"
)

// chosen lists the warnings whose condition holds.
type chosen []mirror.Warning

func (c *chosen) when(condition bool, w mirror.Warning) {
	if condition {
		*c = append(*c, w)
	}
}

func warnOfCredentials(_ context.Context, f *facts) []mirror.Warning {
	var found chosen
	found.when(f.config.SecretKey == "", warning(
		"secret_key_unset", mirror.SeverityWarning,
		"No Clerk secret key is configured: nothing can be read from Clerk, so that what an event did not tell stays unrepaired.",
		"Set CLERK_SECRET_KEY.",
	))
	found.when(!f.takesWebhooks, warning(
		"webhook_secret_unset", mirror.SeverityError, "No webhook signing secret is configured: every event is refused.",
		"Set CLERK_WEBHOOK_SIGNING_SECRET to the secret of the endpoint in the Clerk dashboard.",
	))
	found.when(f.config.StalePolicy == StaleTrust, warning(
		"mirror_unproven", mirror.SeverityWarning, "Stored roles are used for access decisions though nothing proves that the mirror is complete.",
		"Set CLERK_SECRET_KEY, and leave CLERKSYNC_UNREADY unset or ask.",
	))
	found.when(f.config.WebhookScheme == webhook.SchemeDangerousHMACBody, warning(
		"hmac_body", mirror.SeverityWarning, "Webhooks are verified by a bare HMAC of the body: anyone who saw a delivery can send it again later.",
		"Use Clerk's own signatures (CLERKSYNC_WEBHOOK_SCHEME=svix).",
	))
	return found
}

func warnOfTokens(_ context.Context, f *facts) []mirror.Warning {
	var found chosen
	hs256 := f.config.JWTAlgorithm == auth.HS256
	found.when(hs256, warning(
		"jwt_hs256", mirror.SeverityWarning, "Tokens are verified with HS256 and a shared secret: they name no session and outlive its revocation.",
		"Use session tokens with RS256 in production.",
	))
	found.when(!hs256 && len(f.config.AuthorizedParties) == 0, warning(
		"authorized_parties_unset", mirror.SeverityWarning, "Tokens that were made for any origin are accepted.",
		"Set CLERK_AUTHORIZED_PARTIES to the origins of your pages.",
	))
	found.when(!hs256 && f.config.Issuer == "", warning(
		"issuer_unset", mirror.SeverityInfo, "The issuer of tokens is not checked; the keys alone decide which instance's tokens are accepted.",
		"Set CLERK_ISSUER or CLERK_PUBLISHABLE_KEY.",
	))
	return found
}

func warnOfDurability(_ context.Context, f *facts) []mirror.Warning {
	var found chosen
	found.when(!f.durable, warning(
		"sqlite_synchronous_normal", mirror.SeverityWarning, "SQLite does not wait for the disk: acknowledged events can be lost at a power cut.",
		"Unset CLERKSYNC_SQLITE_SYNCHRONOUS.",
	))
	found.when(f.engine == store.SQLite && f.production, warning(
		"sqlite_in_production", mirror.SeverityInfo, "A production instance is mirrored into SQLite, which one machine alone can serve.",
		"Use Postgres where there is more than one replica.",
	))
	return found
}

func warnOfKeys(_ context.Context, f *facts) []mirror.Warning {
	var found chosen
	found.when(f.noKeys, warning(
		"keys_unavailable", mirror.SeverityWarning, "There is no key to verify tokens with: every request with a token is answered 503.",
		"Set CLERK_SECRET_KEY, CLERK_PUBLISHABLE_KEY, CLERK_JWKS_URL or CLERK_JWT_KEY.",
	))
	found.when(f.keysMissing, warning(
		"keys_unavailable", mirror.SeverityError, "The keys that verify tokens cannot be fetched: every request with a token is answered 503.",
		"Look in the log for the cause. Check the network, CLERK_SECRET_KEY, and CLERK_JWKS_URL or CLERK_API_URL.",
	))
	return found
}

func warnOfPolicy(_ context.Context, f *facts) []mirror.Warning {
	var found chosen
	found.when(f.config.ForwardAuthWithoutPolicy, warning(
		"no_policy", mirror.SeverityWarning,
		"Forward auth has no route policy: any signed-in user may make any request to the applications behind the proxy.",
		"Write a policy and name it in CLERKSYNC_POLICY_FILE, or unset CLERKSYNC_TRUSTED_PROXIES if no proxy asks.",
	))
	found.when(f.config.DangerouslyAllowMissingAuthorizedParty, warning(
		"missing_azp_allowed", mirror.SeverityWarning,
		"Tokens in the Authorization header are accepted though they do not say for which page they were made (claim azp).",
		"Unset CLERKSYNC_DANGEROUSLY_ALLOW_MISSING_AZP, unless native apps or your own backend call this server.",
	))
	return found
}
