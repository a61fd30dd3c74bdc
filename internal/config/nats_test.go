package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
)

// natsCredentials has the form of a .creds file.
const natsCredentials = `-----BEGIN NATS USER JWT-----
eyJ0eXAiOiJKV1QifQ.e30.c2ln
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
SUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4OHLXC3HQ2KFE4PEJUA44CNHTC4
------END USER NKEY SEED------
`

// certificate is a certificate and its key, as PEM text.
type certificate struct{ cert, key string }

func certificatePEM(t *testing.T) certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := func(typ string, bytes []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: bytes}))
	}
	return certificate{text("CERTIFICATE", der), text("PRIVATE KEY", private)}
}

// A client certificate needs its key, and both are what they are named.
func TestNATSTLS(t *testing.T) {
	t.Parallel()
	a, b := certificatePEM(t), certificatePEM(t)
	cert, key := natsCertName+"=", natsKeyName+"="
	for _, tt := range []struct {
		name    string
		environ []string
		want    string // of the error; empty: there is none
	}{
		{"both", []string{cert + a.cert, key + a.key}, ""},
		{"no key", []string{cert + a.cert}, "NATS client key is unset, and there is a client certificate (CLERKSYNC_NATS_KEY)"},
		{"no certificate", []string{key + a.key}, "NATS client certificate is unset, and there is a client key (CLERKSYNC_NATS_CERT)"},
		{"key of another", []string{cert + a.cert, key + b.key}, "NATS client key does not belong to the client certificate (CLERKSYNC_NATS_KEY)"},
		{"swapped", []string{cert + a.key, key + a.cert}, "NATS client certificate is PEM text of something else than certificates (CLERKSYNC_NATS_CERT)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := load(t, append(tt.environ, "CLERKSYNC_NATS_URL=nats://a")...)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), "error: "+tt.want+"\n") {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// What has no effect without the URL is warned of. The password of the URL is never shown.
func TestNATSWithoutURL(t *testing.T) {
	t.Parallel()
	_, warnings, err := load(t, natsCredentialsName+"="+natsCredentials)
	if err != nil || len(warnings) != 1 || warnings[0].What != "NATS credentials has no effect" {
		t.Errorf("got %v, %v", warnings, err)
	}
}
