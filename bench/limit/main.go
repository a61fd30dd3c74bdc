package main

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/clerksync/clerksync/internal/web"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("limit", flag.ContinueOnError)
	like := flags.String("like", "", "the URL of the server whose answer is written")
	listen := flags.String("listen", "127.0.0.1:8081", "the address to listen on")
	keyFile := flags.String("key", "", "a PEM file with the RSA public key that verifies tokens; none are verified without it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s := server{like: *like}
	if *keyFile != "" {
		var err error
		if s.key, err = readKey(*keyFile); err != nil {
			return err
		}
	}
	debug.SetGCPercent(400) // as clerksync serve does
	return web.NewServer(*listen, &s).ListenAndServe()
}

func readKey(file string) (*rsa.PublicKey, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the file that the flag names
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s: no PEM block", file)
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%s: not an RSA key", file)
	}
	return key, nil
}

// server writes one answer to every request.
type server struct {
	like string
	key  *rsa.PublicKey // nil: tokens are not verified

	first sync.Once
	answer
}

// answer is what the other server answered.
type answer struct {
	err     error
	status  int
	headers []header
	body    []byte
}

type header struct {
	name   string
	values []string
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.first.Do(func() { s.answer = ask(r.Context(), s.like, r) })
	if s.err != nil {
		http.Error(w, s.err.Error(), http.StatusBadGateway)
		return
	}
	if s.key != nil && !signedBy(s.key, r.Header) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	h := w.Header()
	for i := range s.headers {
		h[s.headers[i].name] = s.headers[i].values
	}
	w.WriteHeader(s.status)
	_, _ = w.Write(s.body)
}

// ask sends a request on to the other server.
func ask(ctx context.Context, like string, r *http.Request) answer {
	request, err := http.NewRequestWithContext(ctx, r.Method, like+r.RequestURI, nil) //nolint:gosec // the server that the flag names
	if err != nil {
		return answer{err: err}
	}
	request.Header = r.Header
	client := http.Client{Timeout: 10 * time.Second}
	response, err := client.Do(request) //nolint:gosec // as above
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close()
	a := answer{status: response.StatusCode}
	if a.body, a.err = io.ReadAll(response.Body); a.err == nil && a.status != http.StatusOK {
		a.err = fmt.Errorf("%s: status %d", like, a.status)
	}
	for name, values := range response.Header {
		if name != "Date" { // net/http writes it
			a.headers = append(a.headers, header{name, values})
		}
	}
	return a
}

// signedBy reports whether the request has a bearer token with a signature of the key.
func signedBy(key *rsa.PublicKey, h http.Header) bool {
	signed, signature, err := split(h)
	if err != nil {
		return false
	}
	hash := sha256.Sum256(signed)
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, hash[:], signature) == nil
}

var errNoToken = errors.New("no bearer token")

// split returns what the signature of a token covers, and the signature.
func split(h http.Header) (signed, signature []byte, err error) {
	token, ok := strings.CutPrefix(h.Get("Authorization"), "Bearer ")
	dot := strings.LastIndexByte(token, '.')
	if !ok || dot < 0 {
		return nil, nil, errNoToken
	}
	signature, err = base64.RawURLEncoding.DecodeString(token[dot+1:])
	return []byte(token[:dot]), signature, err
}
