package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/forwardauth"
	"github.com/clerksync/clerksync/webhook"
)

// derive does what needs more than one setting: derived defaults and checks. It leaves out a check
// if one of its settings is not known, because the check would report the consequence of another
// fault.
func (l *loader) derive() {
	c := l.config
	if d := &c.Database; d.Engine == "sqlite" && !d.Memory {
		d.Path = l.resolve(d.Path)
	}
	if c.Unready == "" && c.SecretKey != "" {
		c.Unready, c.Sources["CLERKSYNC_UNREADY"] = "ask", Origin{Source: fromOther, Name: secretKeyName}
	} else if c.Unready == "" {
		c.Unready = "allow"
	}
	if issuer, err := auth.FrontendAPI(c.PublishableKey); err == nil && c.Issuer == "" {
		c.Issuer = issuer
		c.Sources[issuerName] = Origin{Source: fromOther, Name: publishableName}
	}
	l.checkWebhooks()
	l.checkJWTKey()
	l.checkListeners()
	l.checkOperators()
	l.deriveAdminRole()
	l.buildRoutes()
	l.checkIdentity()
	l.checkWalks()
	l.checkNATS()
	l.warnRisky()
}

func (l *loader) checkWalks() {
	if l.unknown(walkMinName, walkMaxName) || l.config.WalkMinPause <= l.config.WalkMaxPause {
		return
	}
	l.fault(l.settings[walkMaxName], valueError{
		"is shorter than " + walkMinName, "Lower " + walkMinName + ", or raise " + walkMaxName + ".",
	})
}

func (l *loader) checkWebhooks() {
	if l.unknown(schemeName) {
		return
	}
	var errs []error
	for i, secret := range l.config.WebhookSecrets {
		_, err := webhook.NewVerifier(webhook.Config{
			Secrets: []string{secret}, Scheme: webhook.Scheme(l.config.WebhookScheme),
		})
		if err == nil {
			continue
		}
		e := valueError{what: "is malformed"}
		if malformed := (*webhook.SecretError)(nil); errors.As(err, &malformed) {
			e = valueError{malformed.Problem, strings.ToUpper(malformed.Remedy[:1]) + malformed.Remedy[1:] + "."}
		}
		errs = append(errs, valueError{numbered(i, len(l.config.WebhookSecrets), e.what), e.remedy})
	}
	if len(errs) > 0 {
		l.fault(l.settings[webhookName], errors.Join(errs...))
	}
}

func (l *loader) checkJWTKey() {
	if l.unknown(algorithmName, jwtKeyName) {
		return
	}
	err := error(nil)
	_, notPublic := auth.ParsePublicKey(l.config.JWTKey)
	if l.config.JWTAlgorithm == "HS256" {
		err = l.checkSharedSecret(notPublic == nil)
	} else if l.config.JWTKey != "" && notPublic != nil {
		err = errors.New("is not the PEM text of an RSA public key of at least 2048 bits")
	}
	if err != nil {
		l.fault(l.settings[jwtKeyName], err)
	}
}

// checkSharedSecret checks the key of HS256, which is the secret key by default.
func (l *loader) checkSharedSecret(isPublicKey bool) error {
	c := l.config
	if c.JWTKey == "" {
		if l.unknown(secretKeyName) {
			return nil
		}
		l.written[jwtKeyName] = l.written[secretKeyName]
		c.JWTKey, c.Sources[jwtKeyName] = c.SecretKey, Origin{Source: fromOther, Name: secretKeyName}
	}
	switch {
	case isPublicKey || strings.Contains(c.JWTKey, "-----BEGIN"):
		return valueError{
			"is a PEM text, which cannot be the shared secret of HS256",
			"Unset CLERK_JWT_ALGORITHM, or set the shared secret: anyone may know a public key.",
		}
	case c.JWTKey == "":
		return valueError{"is unset, and HS256 needs one", "Set CLERK_JWT_KEY to a shared secret of at least 32 bytes."}
	case len(c.JWTKey) < 32:
		return valueError{"is shorter than 32 bytes, too short for HS256", "Set a shared secret of at least 32 bytes."}
	}
	return nil
}

// buildRoutes builds the policy, whose rules name roles of the ladder.
func (l *loader) buildRoutes() {
	c := l.config
	if c.Policy == "" || l.unknown(policyName) {
		return
	}
	policy, err := buildPolicy(c.Policy)
	if err == nil && !l.unknown(rolesName) {
		err = policyFaults(policy.CheckRoles(c.Roles))
	}
	if err != nil {
		l.fault(l.settings[policyName], err)
		return
	}
	c.Routes = policy
}

// checkIdentity refuses to share a secret with the servers behind the proxy that they must not
// know.
func (l *loader) checkIdentity() {
	c := l.config
	if c.IdentitySecret == "" || l.unknown(identityName, secretKeyName, jwtKeyName, operatorTokenName) {
		return
	}
	if slices.Contains([]string{c.SecretKey, c.JWTKey, c.OperatorToken}, c.IdentitySecret) {
		l.fault(l.settings[identityName], valueError{
			"is the same as another secret", "Make a separate one: every server behind the proxy must know it.",
		})
	}
}

// checkListeners finds the one conflict that can be seen without opening a port.
func (l *loader) checkListeners() {
	host, port, err := net.SplitHostPort(l.config.Listen)
	operatorHost, operatorPort, operatorErr := net.SplitHostPort(l.config.OperatorListen)
	if err != nil || operatorErr != nil || port != operatorPort || port == "0" {
		return
	}
	if host == operatorHost || everywhere(host) || everywhere(operatorHost) {
		l.fault(l.settings[operatorListenName], valueError{
			"has the port of the public listener", "Choose another port, or use off.",
		})
	}
}

func everywhere(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "" || err == nil && address.IsUnspecified()
}

// checkOperators refuses an operator listener that other machines reach without a token.
func (l *loader) checkOperators() {
	c := l.config
	if l.unknown(operatorListenName, operatorTokenName) || slices.Contains([]string{"off", "public"}, c.OperatorListen) ||
		LoopbackListen(c.OperatorListen) {
		return
	}
	if c.OperatorToken == "" {
		l.fault(l.settings[operatorListenName], valueError{
			"is reachable from other machines, and no operator token is set",
			"Set CLERKSYNC_OPERATOR_TOKEN to the output of `openssl rand -hex 32`, or listen on 127.0.0.1:8081.",
		})
		return
	}
	protected := "Metrics, profiles and the operator API need the operator token, which is sent unencrypted."
	if c.OperatorMetrics == "open" {
		protected = "Profiles and the operator API need the operator token, which is sent unencrypted. Metrics need nothing."
	}
	l.warn(l.written[operatorListenName], "operator listener is reachable from other machines", protected,
		"Let only operators reach this address, or listen on 127.0.0.1:8081.")
}

// deriveAdminRole sets the role of admins, and refuses one that everyone has or no one can have.
func (l *loader) deriveAdminRole() {
	c := l.config
	if l.unknown(rolesName, adminRoleName) {
		return
	}
	if c.AdminRole == "" {
		c.AdminRole = "off"
		if last := len(c.Roles) - 1; last > 0 {
			c.AdminRole = c.Roles[last]
		}
		if c.Sources[rolesName].Source != fromDefault {
			c.Sources[adminRoleName] = Origin{Source: fromOther, Name: rolesName}
		}
		return
	}
	switch i := slices.Index(c.Roles, c.AdminRole); {
	case c.AdminRole == "off" || i > 0:
	case i == 0:
		l.fault(l.settings[adminRoleName], valueError{
			"is the lowest role, which every user has", "Choose a higher role of CLERKSYNC_ROLES, or off.",
		})
	default:
		l.fault(l.settings[adminRoleName], valueError{
			"is not a role of CLERKSYNC_ROLES", "Choose one of " + strings.Join(c.Roles[1:], ", ") + ", or off.",
		})
	}
}

// LoopbackListen reports whether only this machine reaches a listener with the address.
func LoopbackListen(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && loopback(host)
}

// warnRisky warns of settings that are valid and seldom meant.
func (l *loader) warnRisky() {
	c := l.config
	if c.Sources[databaseName].Source == fromFlag && hasPassword(c.Database.DSN) {
		l.warn(l.written[databaseName], "database password is given as a flag",
			"Every user of this machine can read the arguments of its processes.",
			"Set DATABASE_URL or DATABASE_URL_FILE in the environment.")
	}
	if c.AllowMissingAZP {
		l.warn(l.written[missingAZPName], "tokens without azp are accepted",
			"Such a token is valid whatever page sends it.",
			"Unset it, unless native apps or your own back end call this server.")
	}
	if c.SQLiteSynchronous == "NORMAL" && c.Database.Engine == "sqlite" {
		l.warn(l.written[synchronousName], "synchronous mode is NORMAL",
			"A power cut can lose events that were acknowledged, and Clerk does not send them again.",
			"Unset it, unless it is enough that reconcile repairs them later.")
	}
	if name := cmp.Or(l.written[policyName], l.written[identityName]); name != "" && len(c.TrustedProxies) == 0 && !l.unknown(proxiesName) {
		l.warn(name, "forward auth is configured, and no proxy is trusted", "Every request to /api/auth/verify is refused with 403.",
			"List the address of your proxy in CLERKSYNC_TRUSTED_PROXIES.")
	}
	if c.Routes != nil {
		l.warnMachines(c.Routes.Routes())
	}
}

// warnMachines warns of routes that accept more tokens than their writer may think, or none of a
// kind that they name.
func (l *loader) warnMachines(routes []forwardauth.Route) {
	name := l.written[policyName]
	for i := range routes {
		r := &routes[i]
		accepted := auth.Accepted(r.Rule)
		what := func(text string) string { return fmt.Sprintf("policy route %d (%s) %s", r.Number, r.Path, text) }
		if accepted == auth.KindsOf(auth.Session, auth.APIKey, auth.OAuth, auth.M2M) {
			l.warn(name, what("accepts every kind of token"), "Users can make API keys for themselves, and each key that was never seen is a paid question to Clerk.",
				"List in accept only the kinds that call this route.")
		}
		if accepted.Has(auth.OAuth) && len(l.config.OAuthResources) == 0 {
			l.warn(name, what("accepts OAuth access tokens for any resource"), "A token that a user granted to use another application of the instance opens it, too.",
				"Set CLERKSYNC_OAUTH_RESOURCES to the URL of this API.")
		}
		if accepted.Has(auth.M2M) && len(l.config.MachineCallers) == 0 && l.config.MachineID == "" {
			l.warn(name, what("accepts M2M tokens, and no machine may call"), "Every M2M token is refused.",
				"List the machines in CLERKSYNC_MACHINE_CALLERS, or set CLERKSYNC_MACHINE_ID.")
		}
	}
}

// numbered puts the place of an item before what is wrong with it, if there are several.
func numbered(i, n int, what string) string {
	if n == 1 {
		return what
	}
	return fmt.Sprintf("%d %s", i+1, what)
}
