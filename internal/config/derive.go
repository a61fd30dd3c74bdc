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
	"github.com/clerksync/clerksync/webhook"
)

// derive does what takes more than one setting: checks and derived defaults. A check whose settings are not all known
// is left out, since it would report the consequence of another fault.
func (l *loader) derive() {
	c := l.config
	if d := &c.Database; d.Engine == "sqlite" && !d.Memory {
		d.Path = l.resolve(d.Path)
	}
	if c.Unready == "" && c.SecretKey != "" {
		c.Unready = "ask"
	} else if c.Unready == "" {
		c.Unready = "allow"
	}
	if host := frontendAPI(c.PublishableKey); c.Issuer == "" && host != "" {
		c.Issuer = "https://" + host
		c.Sources[issuerName] = "derived from " + publishableName
	}
	l.checkWebhooks()
	l.checkJWT()
	l.checkRoles()
	l.checkListeners()
	l.checkOperators()
	l.checkPolicy()
	l.checkIdentity()
	l.checkWalks()
	l.warnRisky()
}

func (l *loader) checkWalks() {
	if l.unknown(walkMinName, walkMaxName) || l.config.WalkMinPause <= l.config.WalkMaxPause {
		return
	}
	l.fault(l.variables[walkMaxName], valueError{"is shorter than " + walkMinName, "Lower " + walkMinName + ", or raise " + walkMaxName + "."})
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
		c := valueError{what: "is malformed"}
		if malformed := (*webhook.SecretError)(nil); errors.As(err, &malformed) {
			c = valueError{malformed.Problem, strings.ToUpper(malformed.Remedy[:1]) + malformed.Remedy[1:] + "."}
		}
		errs = append(errs, valueError{numbered(i, len(l.config.WebhookSecrets), c.what), c.remedy})
	}
	if len(errs) > 0 {
		l.fault(l.variables[webhookName], errors.Join(errs...))
	}
}

func (l *loader) checkJWT() {
	c := l.config
	if l.unknown(algorithmName, jwtKeyName) {
		return
	}
	err := error(nil)
	_, notPublic := auth.ParsePublicKey(c.JWTKey)
	switch {
	case c.JWTAlgorithm == "RS256":
		if c.JWTKey != "" && notPublic != nil {
			err = errors.New("is not the PEM text of an RSA public key of at least 2048 bits")
		}
	case c.JWTKey != "" && (notPublic == nil || strings.Contains(c.JWTKey, "-----BEGIN")):
		err = valueError{
			"is a PEM text, which cannot be the shared secret of HS256",
			"Unset CLERK_JWT_ALGORITHM, or set the shared secret; a public key is known to all.",
		}
	case c.JWTKey == "" && l.unknown(secretKeyName):
	default:
		if c.JWTKey == "" {
			l.written[jwtKeyName] = l.written[secretKeyName]
			c.JWTKey, c.Sources[jwtKeyName] = c.SecretKey, "derived from "+secretKeyName
		}
		if c.JWTKey == "" {
			err = valueError{"is unset, and HS256 needs one", "Set CLERK_JWT_KEY to a shared secret of at least 32 bytes."}
		} else if len(c.JWTKey) < 32 {
			err = valueError{"is shorter than 32 bytes, too short for HS256", "Set a shared secret of at least 32 bytes."}
		}
	}
	if err != nil {
		l.fault(l.variables[jwtKeyName], err)
	}
}

func (l *loader) checkRoles() {
	c := l.config
	switch {
	case l.unknown(rolesName, adminRoleName):
	case c.AdminRole == "":
		c.AdminRole = c.Roles[len(c.Roles)-1]
	case !slices.Contains(c.Roles, c.AdminRole):
		l.fault(l.variables[adminRoleName], errors.New("is not in the ladder of roles"))
	}
}

// checkPolicy builds the policy, whose rules name roles of the ladder.
func (l *loader) checkPolicy() {
	c := l.config
	if c.Policy == "" || l.unknown(policyName) {
		return
	}
	policy, err := buildPolicy(c.Policy)
	if err == nil && !l.unknown(rolesName) {
		err = policyFaults(policy.CheckRoles(c.Roles))
	}
	if err != nil {
		l.fault(l.variables[policyName], err)
		return
	}
	c.Routes = policy
}

// checkIdentity keeps the secret that others are told from being one that they must not know.
func (l *loader) checkIdentity() {
	c := l.config
	if c.IdentitySecret == "" || l.unknown(identityName, secretKeyName, jwtKeyName, operatorTokenName) {
		return
	}
	if slices.Contains([]string{c.SecretKey, c.JWTKey, c.OperatorToken}, c.IdentitySecret) {
		l.fault(l.variables[identityName], valueError{
			"is the same as another secret", "Make one of its own: every server behind the proxy must know it.",
		})
	}
}

// checkListeners finds the one clash that can be seen without opening a port.
func (l *loader) checkListeners() {
	host, port, err := net.SplitHostPort(l.config.Listen)
	operatorHost, operatorPort, operatorErr := net.SplitHostPort(l.config.OperatorListen)
	if err != nil || operatorErr != nil || port != operatorPort || port == "0" {
		return
	}
	if host == operatorHost || everywhere(host) || everywhere(operatorHost) {
		l.fault(l.variables[operatorListenName], valueError{
			"has the port of the public listener", "Choose another port, or write off or public.",
		})
	}
}

func everywhere(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "" || err == nil && address.IsUnspecified()
}

// warnRisky warns of settings that are valid and seldom meant.
func (l *loader) warnRisky() {
	c := l.config
	if c.Sources[databaseName] == "flag" && hasPassword(c.Database.DSN) {
		l.warn(l.written[databaseName], "database password is given as a flag",
			"Every user of this machine can read the arguments of its processes.",
			"Set DATABASE_URL or DATABASE_URL_FILE in the environment.")
	}
	if c.AllowMissingAZP {
		l.warn(l.written[missingAZPName], "tokens without azp are accepted",
			"A token that does not say for which page it was made counts, whatever page got hold of it.",
			"Unset it, unless native apps or your own backend call this server.")
	}
	if c.SQLiteSynchronous == "NORMAL" && c.Database.Engine == "sqlite" {
		l.warn(l.written[synchronousName], "synchronous mode is NORMAL",
			"Events that were acknowledged may be lost at a power cut, and Clerk does not send them again.",
			"Unset it, unless what reconcile repairs later is good enough.")
	}
	if name := cmp.Or(l.written[policyName], l.written[identityName]); name != "" && len(c.TrustedProxies) == 0 && !l.unknown(proxiesName) {
		l.warn(name, "forward auth is configured, and no proxy is trusted", "Every request to /api/auth/verify is refused with 403.",
			"List the address of your proxy in CLERKSYNC_TRUSTED_PROXIES.")
	}
}

// numbered puts the place of an item before what is wrong with it, where there are several.
func numbered(i, n int, what string) string {
	if n == 1 {
		return what
	}
	return fmt.Sprintf("%d %s", i+1, what)
}

// checkOperators refuses an operator listener that is open to other machines without a token.
func (l *loader) checkOperators() {
	c := l.config
	if l.unknown(operatorListenName, operatorTokenName) || c.OperatorListen == "off" || c.OperatorListen == "public" ||
		LoopbackListen(c.OperatorListen) {
		return
	}
	if c.OperatorToken == "" {
		l.fault(l.variables[operatorListenName], valueError{
			"is reachable from other machines, and no operator token is set",
			"Set CLERKSYNC_OPERATOR_TOKEN to the output of `openssl rand -hex 32`, or listen on 127.0.0.1:8081.",
		})
		return
	}
	asked := "Metrics, profiles and the operator API ask for the operator token, which travels unencrypted."
	if c.OperatorMetrics == "open" {
		asked = "Profiles and the operator API ask for the operator token, which travels unencrypted. Metrics ask for nothing."
	}
	l.warn(l.written[operatorListenName], "operator listener is reachable from other machines", asked,
		"Let only operators reach this address, or listen on 127.0.0.1:8081.")
}

// LoopbackListen reports whether only this machine reaches a listener with the address.
func LoopbackListen(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && loopback(host)
}
