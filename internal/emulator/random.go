package emulator

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/big"
	"math/rand/v2"
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// random makes everything that a seed decides. It is not for secrets that guard anything.
type random struct {
	*rand.Rand
	source *rand.ChaCha8
}

func newRandom(seed uint64) random {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	source := rand.NewChaCha8(key)
	return random{rand.New(source), source} //nolint:gosec // made-up identities of a test double, the same for a seed
}

// id is a made-up id in Clerk's form: a prefix and 27 characters.
func (r random) id(prefix string) string { return prefix + "_" + r.text(27) }

func (r random) text(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = base62[r.IntN(len(base62))]
	}
	return string(b)
}

func (r random) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func (r random) webhookSecret() string {
	return "whsec_" + base64.StdEncoding.EncodeToString(r.bytes(24))
}

// chance is true at the given rate, from 0 to 1.
func (r random) chance(rate float64) bool { return rate > 0 && r.Float64() < rate }

// key makes an RSA key of 2048 bits. The standard library makes none that a seed decides.
func (r random) key() (*rsa.PrivateKey, error) {
	e := big.NewInt(65537)
	for range 100 {
		p, q := r.prime(1024), r.prime(1024)
		one := big.NewInt(1)
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		d := new(big.Int).ModInverse(e, phi)
		if d == nil || p.Cmp(q) == 0 {
			continue
		}
		key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}, D: d, Primes: []*big.Int{p, q}}
		key.Precompute()
		if err := key.Validate(); err != nil {
			return nil, fmt.Errorf("make a key: %w", err)
		}
		return key, nil
	}
	return nil, fmt.Errorf("make a key: no primes found")
}

func (r random) prime(bits int) *big.Int {
	for {
		b := r.bytes(bits / 8)
		b[0] |= 0xC0 // so that the product has all its bits
		b[len(b)-1] |= 1
		if p := new(big.Int).SetBytes(b); p.ProbablyPrime(20) {
			return p
		}
	}
}
