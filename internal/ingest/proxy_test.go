package ingest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/clerksync/clerksync/internal/driver/postgres"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/mirror"
)

// TestConnectionCutDuringCommit cuts the connection when the server has committed and the
// client does not know it yet.
func TestConnectionCutDuringCommit(t *testing.T) {
	t.Parallel()
	dsn := testenv.Postgres(t)
	proxy := newProxy(t, dsn)
	db, err := postgres.Open(proxy.dsn)
	if err != nil {
		t.Fatal(err)
	}
	in := start(t, db)
	for i := range 10 {
		id := fmt.Sprintf("user_%d", i)
		proxy.armed.Store(true)
		o := submit(t, in, "msg_"+id, userCreated(id))
		if proxy.armed.Load() {
			t.Fatal("no COMMIT passed the proxy")
		}
		switch o.Status {
		case mirror.OutcomeProcessed, mirror.OutcomeDuplicate, mirror.OutcomeUnavailable:
		default:
			t.Errorf("%s: %+v", id, o)
		}
		if o := submit(t, in, "msg_"+id, userCreated(id)); o.Status != mirror.OutcomeDuplicate {
			t.Errorf("%s was committed, but its second delivery is answered %+v", id, o)
		}
	}
	head, err := db.Head(t.Context())
	if err != nil || head.Seq != 10 {
		t.Errorf("ten users made %d changes, %v", head.Seq, err)
	}
}

// proxy stands in front of Postgres and reads what clients send. Once armed, it lets one commit
// through and cuts the connection instead of returning the answer.
type proxy struct {
	dsn        string
	network    string
	upstream   string
	armed      atomic.Bool
	roundTrips atomic.Int64

	mu     sync.Mutex
	needle string // what watch looks for
	found  bool   // among what was sent
}

func newProxy(t *testing.T, dsn string) *proxy {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{}
	p.network, p.upstream = pgNetwork(config)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var connections sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		connections.Wait()
	})
	connections.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Go(func() { p.relay(client) })
		}
	})
	u := url.URL{Scheme: "postgres", User: url.UserPassword(config.User, config.Password), Host: listener.Addr().String(), Path: config.Database, RawQuery: "sslmode=disable"}
	p.dsn = u.String()
	return p
}

func pgNetwork(config *pgx.ConnConfig) (network, address string) {
	if strings.HasPrefix(config.Host, "/") {
		return "unix", fmt.Sprintf("%s/.s.PGSQL.%d", config.Host, config.Port)
	}
	return "tcp", net.JoinHostPort(config.Host, strconv.FormatUint(uint64(config.Port), 10))
}

// watch begins to look for a text in what clients send.
func (p *proxy) watch(needle string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.needle, p.found = needle, false
}

// sent reports whether the text that watch named was sent.
func (p *proxy) sent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.found
}

func (p *proxy) relay(client net.Conn) {
	defer client.Close()
	server, err := new(net.Dialer).DialContext(context.Background(), p.network, p.upstream)
	if err != nil {
		return
	}
	defer server.Close()
	var cut atomic.Bool
	var answers sync.WaitGroup
	answers.Go(func() {
		defer client.Close()
		from := bufio.NewReader(server)
		for {
			kind, message, err := readMessage(from, true)
			if err != nil || cut.Load() && kind == 'Z' {
				return // ready for the next: so the commit is done
			}
			if cut.Load() {
				continue
			}
			if _, err := client.Write(message); err != nil {
				return
			}
		}
	})
	from, texts, first := bufio.NewReader(client), map[string]string{}, true
	for {
		kind, message, err := readMessage(from, !first)
		if err != nil {
			break
		}
		first = false
		if p.look(kind, message, texts) == "commit" && p.armed.CompareAndSwap(true, false) {
			cut.Store(true)
		}
		if _, err := server.Write(message); err != nil {
			break
		}
	}
	_ = server.Close()
	answers.Wait()
}

// readMessage reads a message of the protocol. The first one of a client has no kind.
func readMessage(from *bufio.Reader, hasKind bool) (kind byte, message []byte, err error) {
	if hasKind {
		if kind, err = from.ReadByte(); err != nil {
			return 0, nil, err
		}
		message = append(message, kind)
	}
	var length [4]byte
	if _, err := io.ReadFull(from, length[:]); err != nil {
		return 0, nil, err
	}
	rest := make([]byte, binary.BigEndian.Uint32(length[:])-4)
	_, err = io.ReadFull(from, rest)
	return kind, append(append(message, length[:]...), rest...), err
}

// look looks at a message of a client, and returns the text of the statement that it executes.
// texts are those of the statements that the connection has prepared, by name.
func (p *proxy) look(kind byte, message []byte, texts map[string]string) (text string) {
	p.mu.Lock()
	p.found = p.found || p.needle != "" && bytes.Contains(message, []byte(p.needle))
	p.mu.Unlock()
	switch kind {
	case 'P': // Parse: name and text
		words := strings.SplitN(string(message[5:]), "\x00", 3)
		texts[words[0]] = words[1]
	case 'B': // Bind: portal and name of the statement
		return texts[strings.SplitN(string(message[5:]), "\x00", 3)[1]]
	case 'S': // Sync
		p.roundTrips.Add(1)
	case 'Q': // Query
		if text = strings.TrimRight(string(message[5:]), "\x00"); text != "-- ping" { // of a connection that was idle
			p.roundTrips.Add(1)
		}
	}
	return text
}
