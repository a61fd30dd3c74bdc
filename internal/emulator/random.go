package emulator

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
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
func (r random) key() *rsa.PrivateKey {
	e, one := big.NewInt(65537), big.NewInt(1)
	for {
		p, q := r.prime(1024), r.prime(1024)
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		d := new(big.Int).ModInverse(e, phi)
		if d == nil || p.Cmp(q) == 0 {
			continue
		}
		key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}, D: d, Primes: []*big.Int{p, q}}
		key.Precompute()
		return key
	}
}

// prime is the first prime at or after a random number whose two highest bits are set, so that a
// product of two has all its bits.
func (r random) prime(bits int) *big.Int {
	for {
		b := r.bytes(bits / 8)
		b[0] |= 0xC0
		b[len(b)-1] |= 1
		if p := primeFrom(new(big.Int).SetBytes(b)); p != nil && p.BitLen() == bits {
			return p
		}
	}
}

// primeFrom looks at the next few thousand odd numbers; nil where none is prime. Most are sieved out,
// as each true test costs half a millisecond.
func primeFrom(start *big.Int) *big.Int {
	const span, largest = 4096, 8192
	var composite [span]bool
	var small [largest]bool
	for q := 3; q < largest; q += 2 {
		if small[q] {
			continue
		}
		for i := q * q; i < largest; i += 2 * q {
			small[i] = true
		}
		rest := int(new(big.Int).Mod(start, big.NewInt(int64(q))).Int64())
		first := (q - rest) % q // start+first is a multiple of q, and odd where first is even
		if first%2 == 1 {
			first += q
		}
		for i := first / 2; i < span; i += q {
			composite[i] = true
		}
	}
	for i := range composite {
		if composite[i] {
			continue
		}
		if p := new(big.Int).Add(start, big.NewInt(int64(2*i))); p.ProbablyPrime(1) {
			return p
		}
	}
	return nil
}
