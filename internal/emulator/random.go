package emulator

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"math/big"
	"math/rand/v2"
	"strings"
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// random makes everything that depends on the seed. It is not for real secrets.
type random struct {
	*rand.Rand
	source *rand.ChaCha8
	ids    *uint32 // made so far
	given  string  // the next id with its prefix, if it is not made up
}

func newRandom(seed uint64) random {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return newRandomOf(key)
}

func newRandomOf(key [32]byte) random {
	source := rand.NewChaCha8(key)
	return random{rand.New(source), source, new(uint32), ""} //nolint:gosec // made-up identities of a test double, the same for a seed
}

// firstID is the time of the first id, in seconds on the scale of KSUIDs: in 2024.
const firstID = 1704067200 - 1400000000

// id returns an id in Clerk's form: a prefix and a KSUID, 4 bytes of seconds and 16 at random, so
// that ids sort in the order of creation. Clerk's documentation shows it:
// user_29w83sxmDNGwOuEthce5gg56FcC says the second in which it was created. Here each says a second
// more than the one before, whatever the time is: a seed gives the same ids each time.
func (r random) id(prefix string) string {
	if strings.HasPrefix(r.given, prefix+"_") {
		return r.given
	}
	var n [5]uint32
	n[0] = firstID + *r.ids
	*r.ids++
	for i := 1; i < len(n); i++ {
		n[i] = r.Uint32()
	}
	var text [27]byte
	for i := len(text) - 1; i >= 0; i-- {
		rest := uint64(0)
		for j := range n {
			rest = rest<<32 | uint64(n[j])
			n[j], rest = uint32(rest/62), rest%62 //nolint:gosec // below 2^32: rest was below 62
		}
		text[i] = base62[rest]
	}
	return prefix + "_" + string(text[:])
}

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
		b[i] = byte(r.Uint32()) //nolint:gosec // the lowest
	}
	return b
}

func (r random) webhookSecret() string {
	return "whsec_" + base64.StdEncoding.EncodeToString(r.bytes(24))
}

// chance returns true at the given rate, from 0 to 1.
func (r random) chance(rate float64) bool { return rate > 0 && r.Float64() < rate }

// key makes an RSA key of 2048 bits. The standard library cannot make one from a seed.
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

// prime returns the first prime at or after a random number whose two highest bits are set, so that
// a product of two has all its bits.
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

// primeFrom returns the first prime of the next few thousand odd numbers, or nil. It sieves first,
// because each test costs half a millisecond.
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
