package emulator

import (
	"cmp"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// instance is who the emulated instance is: its id, its keys.
type instance struct {
	ID        string // ins_…; the `kid` of tokens
	SecretKey string
	Issuer    string
	webhook   string // the secret of endpoints that are given none
	random    random
	keyRandom random       // apart, so that ids do not hang on when the first key is made
	keys      []signingKey // the last one signs; those before it are still published; none until one is asked for
}

type signingKey struct {
	id  string
	key *rsa.PrivateKey
}

func (i *instance) invent(options Options) {
	i.random, i.keyRandom = newRandom(options.Seed), newRandom(options.Seed+3)
	i.ID = i.random.id("ins")
	i.SecretKey, i.Issuer = options.SecretKey, strings.TrimSuffix(options.Issuer, "/")
	if i.SecretKey == "" {
		i.SecretKey = "sk_test_" + i.random.text(42)
	}
	if i.Issuer == "" {
		i.Issuer = "https://" + strings.ToLower(i.random.text(8)) + ".clerk.accounts.dev"
	}
	i.webhook = cmp.Or(options.WebhookSecret, i.random.webhookSecret())
}

// published are the keys that verify tokens; the last one signs. Making the first takes a while, and
// much needs none.
func (i *instance) published() []signingKey {
	if len(i.keys) == 0 {
		i.keys = []signingKey{{i.ID, i.keyRandom.key()}}
	}
	return i.keys
}

func (i *instance) signing() signingKey {
	keys := i.published()
	return keys[len(keys)-1]
}

func (i *instance) jwks() jose.JSONWebKeySet {
	var set jose.JSONWebKeySet
	for _, k := range i.published() {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: &k.key.PublicKey, KeyID: k.id, Algorithm: string(jose.RS256), Use: "sig"})
	}
	return set
}

// publishableKey names the issuer's host, as browsers are told it.
func (i *instance) publishableKey() string {
	host := i.Issuer[strings.Index(i.Issuer, "//")+2:]
	return "pk_test_" + base64.StdEncoding.EncodeToString([]byte(host+"$"))
}

func (i *instance) pem() string {
	der, err := x509.MarshalPKIXPublicKey(&i.signing().key.PublicKey)
	if err != nil {
		panic(fmt.Sprintf("emulator: encode our own key: %v", err))
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// Keys is what a backend must know of the instance. URLs are filled in by who listens.
type Keys struct {
	URL            string `json:"url"`
	APIURL         string `json:"api_url"` // without /v1
	Issuer         string `json:"issuer"`
	JWKSURL        string `json:"jwks_url"`
	SecretKey      string `json:"secret_key"`
	PublishableKey string `json:"publishable_key"`
	WebhookSecret  string `json:"webhook_secret"`
	InstanceID     string `json:"instance_id"`
	PEM            string `json:"pem"`
}

// Keys are those of the instance as it is reached at an address such as http://127.0.0.1:4010.
func (e *Emulator) Keys(url string) Keys {
	e.mu.Lock()
	defer e.mu.Unlock()
	return Keys{
		URL: url, APIURL: url, Issuer: e.Issuer, JWKSURL: url + "/.well-known/jwks.json", SecretKey: e.SecretKey,
		PublishableKey: e.publishableKey(), WebhookSecret: cmp.Or(e.sender.secret(), e.webhook), InstanceID: e.ID, PEM: e.pem(),
	}
}

// RotateKeys makes a new signing key with a key id of its own. Keys before the last two are no longer published.
func (e *Emulator) RotateKeys() {
	e.mu.Lock()
	defer e.mu.Unlock()
	keys := append(e.published(), signingKey{e.keyRandom.id("ins"), e.keyRandom.key()})
	e.keys = keys[len(keys)-2:]
	e.changed = true
}
