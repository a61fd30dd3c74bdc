package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/auth"
)

func pemText(label string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

func pkix(t testing.TB, public any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// publicOf returns an RSA public key of this size without a private key.
func publicOf(bits int, exponent int) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: exponent}
}

func TestParsePublicKey(t *testing.T) {
	t.Parallel()
	public := &key().PublicKey
	der, pkcs1 := pkix(t, public), x509.MarshalPKCS1PublicKey(public)
	text := pemText("PUBLIC KEY", der)
	bare := base64.StdEncoding.EncodeToString(der)
	for name, text := range map[string]string{
		"PEM":                    text,
		"PEM, trimmed":           strings.TrimSpace(text),
		"PEM, CRLF":              strings.ReplaceAll(text, "\n", "\r\n"),
		"PEM, indented":          "  " + strings.ReplaceAll(text, "\n", "\n  "),
		`PEM, literal \n`:        strings.ReplaceAll(text, "\n", `\n`),
		`PEM, literal \r\n`:      strings.ReplaceAll(text, "\n", `\r\n`),
		"PEM, spaces for breaks": strings.ReplaceAll(text, "\n", " "),
		"PEM, no breaks":         strings.ReplaceAll(text, "\n", ""),
		"bare":                   bare,
		"bare, wrapped":          strings.ReplaceAll(bare, "A", "\nA"),
		`bare, literal \n`:       bare[:64] + `\n` + bare[64:] + `\n`,
		"PKCS1":                  pemText("RSA PUBLIC KEY", pkcs1),
		"PKCS1, bare":            base64.StdEncoding.EncodeToString(pkcs1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := auth.ParsePublicKey(text)
			if err != nil || !got.Equal(public) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

func TestParsePublicKeyRefuses(t *testing.T) {
	t.Parallel()
	public := &key().PublicKey
	der := pkix(t, public)
	text := pemText("PUBLIC KEY", der)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key())
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private := x509.MarshalPKCS1PrivateKey(key())
	for name, test := range map[string]struct{ text, want string }{
		"empty":                {"", "not an RSA public key"},
		"words":                {"pk_test_abc", "not base64"},
		"PKCS8 private":        {pemText("PRIVATE KEY", pkcs8), "private key"},
		"PKCS1 private":        {pemText("RSA PRIVATE KEY", private), "private key"},
		"encrypted private":    {pemText("ENCRYPTED PRIVATE KEY", pkcs8), "private key"},
		"bare private, PKCS8":  {base64.StdEncoding.EncodeToString(pkcs8), "private key"},
		"bare private, PKCS1":  {base64.StdEncoding.EncodeToString(private), "private key"},
		"private, mislabelled": {pemText("PUBLIC KEY", pkcs8), "public key"},
		"certificate":          {pemText("CERTIFICATE", der), "neither"},
		"EC":                   {pemText("PUBLIC KEY", pkix(t, &ec.PublicKey)), "not an RSA key"},
		"EC, bare":             {base64.StdEncoding.EncodeToString(pkix(t, &ec.PublicKey)), "not an RSA key"},
		"two blocks":           {text + text, "one whole PEM block"},
		"public and private":   {text + pemText("PRIVATE KEY", pkcs8), "one whole PEM block"},
		"no END":               {text[:len(text)-10], "one whole PEM block"},
		"other END":            {strings.Replace(text, "END PUBLIC", "END RSA PUBLIC", 1), "one whole PEM block"},
		"text after":           {text + "x", "one whole PEM block"},
		"only BEGIN":           {"-----BEGIN -----", "one whole PEM block"},
		"body cut":             {pemText("PUBLIC KEY", der[:len(der)-9]), "public key"},
		"1024 bits":            {pemText("PUBLIC KEY", pkix(t, publicOf(1024, 65537))), "1024 bits"},
		"2047 bits":            {pemText("PUBLIC KEY", pkix(t, publicOf(2047, 65537))), "2047 bits"},
		"8193 bits":            {pemText("PUBLIC KEY", pkix(t, publicOf(8193, 65537))), "8193 bits"},
		"exponent 1":           {pemText("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(publicOf(2048, 1))), "exponent"},
		"exponent even":        {pemText("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(publicOf(2048, 65536))), "exponent"},
		"modulus even": {
			pemText("PUBLIC KEY", pkix(t, &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 3})), "modulus",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := auth.ParsePublicKey(test.text)
			if err == nil || got != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

func FuzzParsePublicKey(f *testing.F) {
	f.Add(pemText("PUBLIC KEY", pkix(f, &key().PublicKey)))
	f.Add(base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&key().PublicKey)))
	f.Add("-----BEGIN -----END -----")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := auth.ParsePublicKey(text)
		if err != nil {
			return
		}
		if got.N.BitLen() < 2048 || got.E < 3 || got.E%2 == 0 {
			t.Errorf("weak key of %d bits", got.N.BitLen())
		}
		again, err := auth.ParsePublicKey(pemText("PUBLIC KEY", pkix(t, got)))
		if err != nil || !again.Equal(got) {
			t.Errorf("not read again: %v", err)
		}
	})
}

// A secret has at least 32 bytes and is not a public key.
func TestHMACKey(t *testing.T) {
	t.Parallel()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der := pkix(t, &key().PublicKey)
	for name, secret := range map[string]string{
		"empty":          "",
		"31 bytes":       secret[:31],
		"public key":     pemText("PUBLIC KEY", der),
		"public, bare":   base64.StdEncoding.EncodeToString(der),
		"public, one":    strings.ReplaceAll(pemText("PUBLIC KEY", der), "\n", `\n`),
		"EC, bare":       base64.StdEncoding.EncodeToString(pkix(t, &ec.PublicKey)),
		"certificate":    pemText("CERTIFICATE", der),
		"weak RSA, bare": base64.StdEncoding.EncodeToString(pkix(t, publicOf(1024, 3))),
	} {
		if keys, err := auth.HMACKey(secret); err == nil || keys != nil {
			t.Errorf("%s accepted", name)
		} else if secret != "" && strings.Contains(err.Error(), secret) {
			t.Errorf("%s quoted", name)
		}
	}
	keys := hmacKeys(t)
	if printed := fmt.Sprintf("%v %+v %#v %s", keys, keys, keys, keys); strings.Contains(printed, secret[:8]) {
		t.Errorf("printed: %s", printed)
	}
	v := newVerifier(t, func(c *auth.Config) { c.Algorithm, c.Keys = auth.HS256, keys })
	for name, signer := range map[string]string{
		"other secret": strings.Repeat("x", 32), "longer": secret + "x", "empty": "", "NUL padded": secret + "\x00x",
	} {
		token := signHS256(t, []byte(signer), object{"alg": "HS256"}, payload())
		if _, refusal := verify(t, v, token); refusal != "invalid_token/signature" {
			t.Errorf("%s: %q", name, refusal)
		}
	}
}

// A key set of an unusable key fails closed, also without a verifier that checks it.
func TestStaticKeyUnusable(t *testing.T) {
	t.Parallel()
	for _, public := range []*rsa.PublicKey{nil, {}, publicOf(1024, 65537)} {
		err := auth.StaticKey(public).VerifySignature(t.Context(), "", nil, nil)
		if err == nil || errors.Is(err, auth.ErrSignature) {
			t.Errorf("%v", err)
		}
	}
}
