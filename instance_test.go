package clerksync_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// testInstance signs tokens that say anything at all, as the emulator would not.
type testInstance struct {
	ID            string // ins_…
	Issuer        string
	WebhookSecret string // whsec_…
	key           *rsa.PrivateKey
}

// newTestInstance makes an instance with fresh keys.
func newTestInstance() (*testInstance, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("make the instance's key: %w", err)
	}
	secret := make([]byte, 24)
	_, _ = rand.Read(secret)
	return &testInstance{
		ID: "ins_" + rand.Text(), Issuer: "https://emulated.clerk.accounts.dev",
		WebhookSecret: "whsec_" + base64.StdEncoding.EncodeToString(secret), key: key,
	}, nil
}

// PublicPEM is the key that verifies the instance's tokens.
func (i *testInstance) PublicPEM() (string, error) {
	der, err := x509.MarshalPKIXPublicKey(&i.key.PublicKey)
	if err != nil {
		return "", fmt.Errorf("encode the instance's key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}

// Token is a session token of version 2, good for the given time.
func (i *testInstance) Token(userID, sessionID string, now time.Time, life time.Duration) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: i.key},
		(&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", i.ID).WithHeader("cat", "cl_B7d4PD111AAA"))
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return jwt.Signed(signer).Claims(map[string]any{
		"iss": i.Issuer, "sub": userID, "sid": sessionID, "v": 2, "sts": "active", "fva": []int{0, -1}, "jti": rand.Text(),
		"iat": now.Unix(), "nbf": now.Add(-10 * time.Second).Unix(), "exp": now.Add(life).Unix(),
	}).Serialize()
}
