package nats

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/clerksync/clerksync/clerk"
)

// authority signs certificates for the loopback address.
type authority struct {
	*testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{T: t, pool: x509.NewCertPool()}
	pair := a.issue(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.cert, a.key = pair.Leaf, pair.PrivateKey.(*ecdsa.PrivateKey)
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) issue(template *x509.Certificate) tls.Certificate {
	a.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.Subject = pkix.Name{CommonName: "test"}
	template.NotAfter = time.Now().Add(time.Hour)
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		a.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// TLS in both directions, and a user with a password in the URL, which no log shows.
func TestTLSAndPassword(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	n := newNode(t, &server.Options{
		Username: "clerksync", Password: "s3cr3t-of-nats", TLS: true, TLSVerify: true,
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{a.issue(&x509.Certificate{})}, ClientCAs: a.pool, ClientAuth: tls.RequireAndVerifyClientCert,
		},
	})
	l := newChangeLog(t)
	l.append(3)
	host := strings.TrimPrefix(strings.TrimPrefix(n.ClientURL(), "nats://"), "tls://")
	options := Options{
		URL: "tls://clerksync:s3cr3t-of-nats@" + host, Start: StartOldest,
		TLS: &tls.Config{RootCAs: a.pool, Certificates: []tls.Certificate{a.issue(&x509.Certificate{})}},
	}
	o := observe(t, options.URL, natsgo.Secure(options.TLS))
	r := run(t, l, options)
	o.reaches(l)
	o.assertChanges(defaultStream, l)
	r.stop(t)

	for name, wrong := range map[string]Options{
		"another authority":     {URL: options.URL, TLS: &tls.Config{RootCAs: newAuthority(t).pool, Certificates: options.TLS.Certificates}},
		"no client certificate": {URL: options.URL, TLS: &tls.Config{RootCAs: a.pool}},
		"wrong password":        {URL: "tls://clerksync:wr0ng-of-nats@" + host, TLS: options.TLS},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, l, wrong)
			eventually(t, "the failure is noticed", func() bool { return strings.Contains(r.log.String(), "cannot be published") })
			r.log.MustNotContain(t, "s3cr3t-of-nats", "wr0ng-of-nats")
		})
	}
	r.log.MustNotContain(t, "s3cr3t-of-nats")
}

// operator signs accounts and users.
type operator struct {
	*testing.T
	account nkeys.KeyPair
	node    *node
}

// newOperator starts a server that knows users by JWTs alone.
func newOperator(t *testing.T) *operator {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	pair := func(prefix nkeys.PrefixByte) (nkeys.KeyPair, string) {
		p, err := nkeys.CreatePair(prefix)
		must(err)
		public, err := p.PublicKey()
		must(err)
		return p, public
	}
	signer, operatorID := pair(nkeys.PrefixByteOperator)
	system, systemID := pair(nkeys.PrefixByteAccount)
	account, accountID := pair(nkeys.PrefixByteAccount)
	_ = system
	claims := jwt.NewOperatorClaims(operatorID)
	claims.SystemAccount = systemID
	accounts := &server.MemAccResolver{}
	for _, id := range []string{systemID, accountID} {
		ac := jwt.NewAccountClaims(id)
		if id == accountID {
			ac.Limits.JetStreamLimits = jwt.JetStreamLimits{
				MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit,
				MaxAckPending: jwt.NoLimit, MemoryMaxStreamBytes: jwt.NoLimit, DiskMaxStreamBytes: jwt.NoLimit,
			}
		}
		text, err := ac.Encode(signer)
		must(err)
		must(accounts.Store(id, text))
	}
	text, err := claims.Encode(signer)
	must(err)
	claims, err = jwt.DecodeOperatorClaims(text)
	must(err)
	n := newNode(t, &server.Options{TrustedOperators: []*jwt.OperatorClaims{claims}, AccountResolver: accounts, SystemAccount: systemID})
	return &operator{t, account, n}
}

// credentials returns a .creds file of a user that may publish to some subjects; none means all.
func (o *operator) credentials(publish ...string) string {
	o.Helper()
	user, err := nkeys.CreateUser()
	if err != nil {
		o.Fatal(err)
	}
	id, _ := user.PublicKey()
	seed, _ := user.Seed()
	claims := jwt.NewUserClaims(id)
	claims.Permissions.Pub.Allow = publish
	text, err := claims.Encode(o.account)
	if err != nil {
		o.Fatal(err)
	}
	creds, err := jwt.FormatUserConfig(text, seed)
	if err != nil {
		o.Fatal(err)
	}
	return string(creds)
}

// A user JWT of an operator, with exactly the permissions that docs/changes.md lists. Without one
// of them, the reason names it.
func TestCredentialsAndPermissions(t *testing.T) {
	t.Parallel()
	op := newOperator(t)
	all := op.credentials()
	o := observe(t, op.node.ClientURL(), natsgo.UserCredentialBytes([]byte(all)))
	l := newChangeLog(t)
	l.append(3)
	needed := []string{
		"clerk.>", "$JS.API.STREAM.INFO.CLERK", "$JS.API.STREAM.MSG.GET.CLERK", "$JS.API.DIRECT.GET.CLERK", "$JS.API.DIRECT.GET.CLERK.>",
		"$JS.API.STREAM.CREATE.CLERK",
	}
	for i, missing := range []string{"$JS.API.STREAM.CREATE.CLERK", "$JS.API.STREAM.INFO.CLERK", "clerk.>"} {
		var allowed []string
		for _, subject := range needed {
			if subject != missing {
				allowed = append(allowed, subject)
			}
		}
		r := run(t, l, Options{URL: op.node.ClientURL(), Credentials: op.credentials(allowed...), Start: StartOldest})
		want := missing
		if missing == "clerk.>" {
			want = "clerk.feed.reset"
		}
		eventually(t, "the reason names "+want, func() bool { return strings.Contains(r.reason(), fmt.Sprintf("Publish to %q", want)) })
		r.log.MustNotContain(t, r.options.Credentials, strings.Split(r.options.Credentials, "\n")[1])
		r.stop(t)
		if i == 0 && o.last(defaultStream) != 0 {
			t.Error("there is a stream")
		}
	}
	run(t, l, Options{URL: op.node.ClientURL(), Credentials: op.credentials(needed...), Start: StartOldest})
	o.reaches(l)
	o.assertChanges(defaultStream, l)
}

// A stream that cannot be used is refused, and the reason says what to do.
func TestStreamsThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		config jetstream.StreamConfig
		want   string
	}{
		"other subjects": {jetstream.StreamConfig{Subjects: []string{"orders.>"}}, "does not take the subject clerk.>: use nats stream edit CLERK --subjects 'clerk.>'"},
		"more subjects":  {jetstream.StreamConfig{Subjects: []string{"clerk.>", "orders.>"}}, "takes other subjects, too: orders.>"},
		"work queue":     {jetstream.StreamConfig{Subjects: []string{"clerk.>"}, Retention: jetstream.WorkQueuePolicy}, "removes messages that are consumed"},
		"no ack":         {jetstream.StreamConfig{Subjects: []string{"clerk.>"}, NoAck: true}, "acknowledges nothing"},
		"sources":        {jetstream.StreamConfig{Subjects: []string{"clerk.>"}, Sources: []*jetstream.StreamSource{{Name: "OTHER"}}}, "has messages of other streams"},
		"mirror":         {jetstream.StreamConfig{Mirror: &jetstream.StreamSource{Name: "OTHER"}}, "is a mirror of another stream"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := observe(t, newNode(t, &server.Options{}).ClientURL())
			_, err := o.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other"}})
			o.must(err)
			tt.config.Name = "CLERK"
			_, err = o.js.CreateStream(t.Context(), tt.config)
			o.must(err)
			r := run(t, newChangeLog(t), Options{URL: o.conn.ConnectedUrl()})
			eventually(t, "the reason", func() bool { return strings.Contains(r.reason(), tt.want) })
		})
	}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		n := newNode(t, &server.Options{})
		r := run(t, newChangeLog(t), Options{URL: n.ClientURL(), DisableCreateStream: true})
		eventually(t, "the reason", func() bool {
			return strings.Contains(r.reason(), "there is no stream CLERK: create it with nats stream add CLERK")
		})
	})
}

// All faults of the options are reported at once. No text contains a part of the URL or the
// credentials.
func TestBadOptions(t *testing.T) {
	t.Parallel()
	_, err := newPublisher(newChangeLog(t), Options{
		URL: "http://user:s3cr3t@example.com", Credentials: "/run/secrets/s3cr3t.creds", Stream: "a b", SubjectPrefix: "clerk.*", Replicas: 9,
		MaxAge: -1, Start: "first", Snapshot: []clerk.Kind{"invoice"},
	})
	if err == nil || strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), "example.com") {
		t.Fatal(err)
	}
	for _, want := range []string{"the URL must be", "the credentials must be", "name of the stream", "subject prefix", "number of replicas is 9", "maximum age", `start is "first"`, `no kind "invoice"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
}
