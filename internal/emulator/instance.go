package emulator

import (
	"cmp"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// instance is the identity of the emulated instance: its id and its keys.
type instance struct {
	ID        string // ins_…; the `kid` of tokens
	SecretKey string
	Issuer    string
	webhook   string // the default secret of endpoints
	random    random
	keyRandom random       // separate, so that ids do not depend on when the first key is made
	keys      []signingKey // the last one signs, the ones before are still published; made at first use
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

// published returns the keys that verify tokens; the last one signs. The first key is made here,
// because that takes a while and is often not needed.
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

// publishableKey returns the publishable key, which names the issuer's host. Clerk's SDKs refuse
// one whose host has no dot, such as localhost: in its place is an address of this machine.
func (i *instance) publishableKey() string {
	host := ""
	if u, err := url.Parse(strings.ToLower(i.Issuer)); err == nil {
		if host = u.Host; !strings.Contains(u.Hostname(), ".") {
			host = strings.TrimSuffix("127.0.0.1:"+u.Port(), ":")
		}
	}
	return "pk_test_" + base64.StdEncoding.EncodeToString([]byte(host+"$"))
}

func (i *instance) pem() string {
	der, err := x509.MarshalPKIXPublicKey(&i.signing().key.PublicKey)
	if err != nil {
		panic(fmt.Sprintf("emulator: encode our own key: %v", err))
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// Keys is what a backend must know about the instance.
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

// Keys returns the keys of the instance, with URLs below an address such as http://127.0.0.1:4010.
func (e *Emulator) Keys(url string) Keys {
	e.mu.Lock()
	defer e.mu.Unlock()
	return Keys{
		URL: url, APIURL: url, Issuer: e.Issuer, JWKSURL: url + "/.well-known/jwks.json", SecretKey: e.SecretKey,
		PublishableKey: e.publishableKey(), WebhookSecret: cmp.Or(e.sender.secret(), e.webhook), InstanceID: e.ID, PEM: e.pem(),
	}
}

// RotateKeys makes a new signing key with its own key id. Only the last two keys stay published.
func (e *Emulator) RotateKeys() {
	e.mu.Lock()
	defer e.mu.Unlock()
	keys := append(e.published(), signingKey{e.keyRandom.id("ins"), e.keyRandom.key()})
	e.keys = keys[len(keys)-2:]
	e.changed = true
}
