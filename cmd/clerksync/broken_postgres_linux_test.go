package main_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"

	"github.com/clerksync/clerksync/internal/driver/postgres"
	"github.com/clerksync/clerksync/internal/testenv"
)

// postgres are databases of Postgres that cannot be used.
func (p *person) postgres() []broken {
	p.Helper()
	address := fmt.Sprintf("127.%d.%d.2", 1+rand.N(250), 1+rand.N(250)) // so that the usual port is free
	server := testenv.NewPostgresServer(p.T, testenv.ServerOptions{Settings: map[string]string{"listen_addresses": address}})
	u, err := url.Parse(server.DSN())
	must(p.T, err)
	p.asSuperuser(server.DSN(), "CREATE ROLE careful LOGIN PASSWORD 'hunter3'", "CREATE ROLE reader LOGIN", "REVOKE CREATE ON SCHEMA public FROM public")
	hba, err := os.OpenFile(filepath.Join(u.Query().Get("host"), "data", "pg_hba.conf"), os.O_WRONLY|os.O_TRUNC, 0)
	must(p.T, err)
	_, err = io.WriteString(hba, `local all all trust
host all careful 127.0.0.0/8 scram-sha-256
host all reader  127.0.0.0/8 trust
host all ghost   127.0.0.0/8 trust
hostssl all secure 127.0.0.0/8 trust
`)
	must(p.T, err)
	must(p.T, hba.Close())
	p.asSuperuser(server.DSN(), "SELECT pg_reload_conf()")
	to := func(user, host, database, query string) []string {
		return []string{"DATABASE_URL=postgres://" + user + "@" + host + "/" + database + "?" + query}
	}
	at := address + ":5432"
	return []broken{
		{
			heading: "Postgres at … cannot be reached: connection refused (tried for …: CLERKSYNC_DATABASE_WAIT).", environ: append(to("u:hunter2", "127.0.0.1:1", "x", "sslmode=disable"), "CLERKSYNC_DATABASE_WAIT=1s"),
			says: []string{"the database cannot be used yet; the server waits for it", "next_try_in=500ms", "gives_up_in=", "Start Postgres"},
		},
		{heading: "Postgres at … cannot be found: …", environ: to("u:hunter2", "no-such-host.invalid", "x", ""), says: []string{"Correct the host"}},
		{heading: "Postgres at … refuses the password.", environ: to("careful:hunter2", at, "postgres", ""), says: []string{"Correct user and password"}},
		{heading: "Postgres at … has no role of that name.", environ: to("ghost:hunter2", at, "postgres", ""), says: []string{"createuser"}},
		{heading: "Postgres at … does not let this machine in, at least not without encryption.", environ: to("secure:hunter2", at, "postgres", "sslmode=disable"), says: []string{"sslmode=require", "pg_hba.conf"}},
		{heading: "Postgres at … has no database of that name.", environ: to("reader", at, "absent", ""), says: []string{"(createdb --host=" + address + " --port=5432 absent)"}},
		{heading: "Postgres at … does not let the role create tables in the schema.", environ: to("reader", at, "postgres", ""), says: []string{"GRANT USAGE, CREATE ON SCHEMA public"}},
		{heading: "Postgres at … does not encrypt, and DATABASE_URL asks for it (sslmode).", environ: to("reader", at, "postgres", "sslmode=require"), says: []string{"ssl = on", "sslmode=disable"}},
		{heading: "Postgres at … has a certificate that this machine does not trust.", environ: to("reader", p.encrypting(), "postgres", "sslmode=verify-full"), says: []string{"sslrootcert="}},
		{heading: "there is no mirror in the database yet", args: []string{"status"}, environ: to("reader", at, "postgres", ""), says: []string{"clerksync migrate"}},
	}
}

func (p *person) asSuperuser(dsn string, statements ...string) {
	p.Helper()
	db, err := postgres.Open(dsn)
	must(p.T, err)
	for _, statement := range statements {
		must(p.T, db.Exec(p.Context(), statement))
	}
	must(p.T, db.Close())
}

// encrypting returns the address of a server that encrypts as Postgres does, with a certificate
// that nothing trusts.
func (p *person) encrypting() string {
	p.Helper()
	page := httptest.NewTLSServer(http.NotFoundHandler())
	page.Close()
	l, err := (&net.ListenConfig{}).Listen(p.Context(), "tcp", "127.0.0.1:0")
	must(p.T, err)
	p.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.CopyN(io.Discard, conn, 8) // the request for encryption
			_, _ = io.WriteString(conn, "S")
			_ = tls.Server(conn, &tls.Config{Certificates: page.TLS.Certificates, MinVersion: tls.VersionTLS12}).Handshake()
			_ = conn.Close()
		}
	}()
	return l.Addr().String()
}

// clerk is a Clerk that cannot be reached, or whose clock is another one.
func (p *person) clerk() []broken {
	p.Helper()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure.StartTLS()
	p.Cleanup(secure.Close)
	late := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", "Thu, 01 Jan 2026 00:00:00 GMT")
		w.WriteHeader(http.StatusNotFound)
	}))
	p.Cleanup(late.Close)
	doctor := func(heading, api, says string, more ...string) broken {
		return broken{heading: heading, args: []string{"doctor"}, says: []string{says}, environ: append([]string{
			"DATABASE_URL=sqlite:" + p.path("none.db"), "CLERK_SECRET_KEY=sk_test_abcdefghijklmnopqrstuvwxyz", "CLERK_API_URL=" + api,
		}, more...)}
	}
	return []broken{
		doctor("Clerk's Backend API at … refuses the connection.", "http://127.0.0.1:1", "The address is CLERK_API_URL."),
		doctor("Clerk's Backend API at … cannot be found: …", "https://no-such-host.invalid", "/etc/resolv.conf"),
		doctor("Clerk's Backend API at … has a certificate that this machine does not trust.", secure.URL, "SSL_CERT_FILE"),
		doctor("Clerk's Backend API at … cannot be reached through the proxy: …", "https://api.example.com", "HTTPS_PROXY", "HTTPS_PROXY=http://127.0.0.1:1"),
		doctor("This clock and Clerk's differ by …", late.URL, "Set this server's clock by NTP."),
	}
}
