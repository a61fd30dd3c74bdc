package clerksync_test

import (
	"strings"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/sqlite"
)

const (
	namesExample = "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k" // clerk.example.com
	aSecretKey   = "sk_test_VerySecretVerySecret"
)

func newError(t *testing.T, config clerksync.Config) string {
	t.Helper()
	db, err := sqlite.Open(sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	m, err := clerksync.New(t.Context(), db, config)
	if err != nil {
		return err.Error()
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	return ""
}

func TestNewReportsAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	text := newError(t, clerksync.Config{
		SecretKey: "pk_test_x", PublishableKey: aSecretKey, InstanceID: "foo", UpgradeURL: "::", FrontendAPI: "::", Redact: []string{"!!", "id"},
		APIBudget: 2, APILimit: -1, AuditRetention: -1, StalePolicy: "perhaps", Roles: []string{"a", "a"},
	})
	for _, want := range []string{
		"PublishableKey is a secret key", "InstanceID", "UpgradeURL", "FrontendAPI", `"!!"`, `"id"`, "APIBudget", "APILimit",
		"AuditRetention", "stale policy", "ladder", "secret key is the publishable one",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, aSecretKey) {
		t.Error("the error quotes the secret key")
	}
}

func TestNewRefusesMalformedNames(t *testing.T) {
	t.Parallel()
	for want, config := range map[string]clerksync.Config{
		"PublishableKey does not":        {PublishableKey: "pk_test_x"},
		"InstanceID does not":            {InstanceID: "user_1"},
		"UpgradeURL is not":              {UpgradeURL: "/pricing"},
		"FrontendAPI is not":             {FrontendAPI: "clerk.example.com"},
		`Redact: "a b" is not a path`:    {Redact: []string{"a b"}},
		"":                               {Redact: []string{"user.public_metadata.any key"}, UpgradeURL: "https://example.com/pricing?from=app"},
		"APIBudget is not":               {APIBudget: 2},
		"APILimit is negative":           {APILimit: -1},
		"PublishableKey is a secret key": {PublishableKey: aSecretKey},
	} {
		if text := newError(t, config); want == "" && text != "" || !strings.Contains(text, want) {
			t.Errorf("%s, want %q", text, want)
		}
	}
}

// A publishable key sets the issuer, as it does for the server: tokens of other issuers are
// refused.
func TestPublishableKeySetsTheIssuer(t *testing.T) {
	t.Parallel()
	c := clerktest.New(t)
	token := c.Token(c.CreateUser(clerktest.User{Email: "ada@example.com"}))
	for _, tc := range []struct {
		issuer  string
		allowed bool
	}{{"", false}, {c.Keys().Issuer, true}} {
		g := openGate(t, c, func(config *clerksync.Config) {
			config.PublishableKey, config.Issuer = namesExample, tc.issuer
		})
		x, err := g.m.Explain(t.Context(), clerksync.ExplainRequest{Token: token})
		if err != nil {
			t.Fatal(err)
		}
		if refused := x.Reason == "issuer"; refused == tc.allowed {
			t.Errorf("issuer %q: code %s, reason %s", tc.issuer, x.Code, x.Reason)
		}
	}
}

// A publishable key alone says where the keys are that verify tokens.
func TestPublishableKeySetsTheFrontendAPI(t *testing.T) {
	t.Parallel()
	db, err := sqlite.Open(sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	m, err := clerksync.New(t.Context(), db, clerksync.Config{PublishableKey: namesExample})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, w := range m.Health(t.Context()).Warnings {
		if w.Code == "keys_unavailable" || w.Code == "issuer_unset" {
			t.Errorf("%s: %s", w.Code, w.Message)
		}
	}
}
