package machine

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"
)

// digest is the HMAC-SHA-256 of a token under a key of the database. It identifies the token and
// says nothing about it.
type digest [sha256.Size]byte

// digester makes digests without allocating.
type digester struct{ pool sync.Pool }

type digesting struct {
	hash  hash.Hash
	token []byte
	sum   []byte
}

func newDigester(secret []byte) *digester {
	derive := hmac.New(sha256.New, secret)
	derive.Write([]byte("clerksync: digests of machine tokens"))
	key := derive.Sum(nil)
	return &digester{sync.Pool{New: func() any { return &digesting{hash: hmac.New(sha256.New, key)} }}}
}

func (d *digester) of(token string) (sum digest) {
	w, _ := d.pool.Get().(*digesting)
	w.hash.Reset()
	w.token = append(w.token[:0], token...)
	w.hash.Write(w.token)
	w.sum = w.hash.Sum(w.sum[:0])
	copy(sum[:], w.sum)
	clear(w.token)
	d.pool.Put(w)
	return sum
}
