package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/webhook"
)

// server is a process that serves, and an emulated Clerk that it mirrors.
type server struct {
	*person
	url   string
	token string
	sent  int64
	taken []int64 // what was acknowledged
}

func (p *person) serves(database string, clerk *emulator.Emulator, api string) *server {
	p.Helper()
	keys := clerk.Keys(api)
	cmd, url := serve(p.T, p.binary, database, "CLERK_SECRET_KEY="+keys.SecretKey, "CLERK_API_URL="+keys.APIURL, "CLERK_ISSUER="+keys.Issuer,
		"CLERK_AUTHORIZED_PARTIES=http://localhost:3000", "CLERKSYNC_API_BUDGET=100%")
	p.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	s := &server{person: p, url: url}
	var users []struct{ ID string }
	must(p.T, clerk.Call(p.Context(), http.MethodGet, "/v1/users?limit=1", nil, &users))
	var minted struct{ JWT string }
	must(p.T, clerk.Call(p.Context(), http.MethodPost, "/_emulator/tokens", map[string]any{"user_id": users[0].ID, "azp": "http://localhost:3000", "expires_in_seconds": 3600}, &minted))
	s.token = minted.JWT
	await(p.T, "the first copy, and a request that is let in", func() bool { return s.status("/api/auth/me") == http.StatusOK })
	return s
}

// get returns the answer of a route.
func (s *server) get(path string) (status int, body string) {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), http.MethodGet, s.url+path, http.NoBody)
	must(s.T, err)
	request.Header.Set("Authorization", "Bearer "+s.token)
	response, err := http.DefaultClient.Do(request)
	must(s.T, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	must(s.T, err)
	return response.StatusCode, string(content)
}

func (s *server) status(path string) int {
	s.Helper()
	status, _ := s.get(path)
	return status
}

// deliver sends an event, and notes whether it was acknowledged.
func (s *server) deliver(signer *webhook.Signer) int {
	s.Helper()
	s.sent++
	status, err := press(http.DefaultClient, signer, s.url, s.sent)
	must(s.T, err)
	if status == http.StatusOK {
		s.taken = append(s.taken, s.sent)
	}
	return status
}

// warning returns a warning of /health, "" if there is none of that code.
func (s *server) warning(code string) string {
	s.Helper()
	_, body := s.get("/health")
	var health mirror.Health
	must(s.T, json.Unmarshal([]byte(body), &health))
	for _, w := range health.Warnings {
		if w.Code == code {
			return w.Message + "\n" + w.Remedy
		}
	}
	return ""
}

// whileRunning breaks the world of servers that run, and mends it.
func (p *person) whileRunning() {
	p.Helper()
	clerk, err := emulator.New(emulator.Options{Users: 3})
	must(p.T, err)
	p.Cleanup(clerk.Close)
	api := httptest.NewServer(clerk)
	p.Cleanup(api.Close)
	signer, err := webhook.NewSigner(secret)
	must(p.T, err)
	p.fullDisk(clerk, api.URL, signer)
	p.databaseAway(clerk, api.URL, signer)
	p.wrongClock(clerk)
}

// fullDisk fills the disk under a server: nothing is acknowledged that is not stored, requests go
// on, and with room again all goes on by itself.
func (p *person) fullDisk(clerk *emulator.Emulator, api string, signer *webhook.Signer) {
	p.Helper()
	const heading = "The SQLite file … cannot grow: the disk is full: nothing has been stored for …"
	disk, ok := p.mount("disk", "6m")
	if !ok {
		p.read[heading] = "not tested"
		return
	}
	path := filepath.Join(disk, "clerk.db")
	s := p.serves("sqlite:"+path, clerk, api)
	if status := s.deliver(signer); status != http.StatusOK {
		p.Fatalf("a delivery before: %d", status)
	}
	filler := filepath.Join(disk, "filler")
	err := os.WriteFile(filler, bytes.Repeat([]byte("x"), 6<<20), 0o600)
	if err == nil {
		p.Fatal("the disk is not full")
	}
	refused := 0
	for range 200 { // what the log has room for is still taken
		if status := s.deliver(signer); status == http.StatusServiceUnavailable {
			refused++
		} else if status != http.StatusOK {
			p.Errorf("a delivery to a full disk is answered %d", status)
		}
		if refused == 3 {
			break
		}
	}
	if refused < 3 {
		p.Errorf("the disk was full, and %d of %d deliveries were refused", refused, s.sent)
	}
	if status := s.status("/api/auth/me"); status != http.StatusOK {
		p.Errorf("a request while the disk is full: %d", status)
	}
	await(p.T, "health says that the disk is full", func() bool { return s.warning("database_not_writable") != "" })
	p.reads(heading, s.warning("database_not_writable"))
	must(p.T, os.Remove(filler))
	if status := s.deliver(signer); status != http.StatusOK {
		p.Errorf("a delivery with room again: %d", status)
	}
	await(p.T, "the warning ends", func() bool { return s.warning("database_not_writable") == "" })
	db, err := sqlite.OpenReadOnly(path)
	must(p.T, err)
	defer db.Close()
	for _, n := range s.taken {
		if _, err := db.UserByClerkID(p.Context(), fmt.Sprintf("user_%d", n)); err != nil {
			p.Errorf("event %d was acknowledged and is lost: %v", n, err)
		}
	}
}

// databaseAway stops Postgres under a server: it says Postgres, not Clerk, and goes on by itself
// when Postgres is back.
func (p *person) databaseAway(clerk *emulator.Emulator, api string, signer *webhook.Signer) {
	p.Helper()
	postgres := testenv.NewPostgresServer(p.T, testenv.ServerOptions{})
	s := p.serves(postgres.DSN(), clerk, api)
	postgres.Stop()
	if status := s.deliver(signer); status != http.StatusServiceUnavailable {
		p.Errorf("a delivery without a database: %d", status)
	}
	await(p.T, "health says that Postgres is away", func() bool { return s.warning("database") != "" })
	said := s.warning("database")
	p.reads("Postgres at … cannot be reached by its socket: …: webhooks are answered 503 until that is repaired, and Clerk sends them again.", said)
	if !strings.Contains(said, "Start Postgres") || s.warning("clerk_unreachable") != "" {
		p.Errorf("the database is away, and health says:\n%s", said)
	}
	if status := s.status("/readyz"); status != http.StatusServiceUnavailable {
		p.Errorf("ready without a database: %d", status)
	}
	await(p.T, "requests are refused", func() bool { return s.status("/api/auth/me") == http.StatusServiceUnavailable })
	if _, body := s.get("/api/auth/me"); !strings.Contains(body, "storage_unavailable") || strings.Contains(body, "Clerk") {
		p.Errorf("a request without a database is told: %s", body)
	}
	postgres.Start()
	await(p.T, "deliveries are taken again", func() bool { return s.deliver(signer) == http.StatusOK })
	await(p.T, "requests are let in again", func() bool { return s.status("/api/auth/me") == http.StatusOK })
	await(p.T, "the warning ends", func() bool { return s.warning("database") == "" })
}

// wrongClock runs a server whose clock is six minutes behind Clerk's.
func (p *person) wrongClock(clerk *emulator.Emulator) {
	p.Helper()
	ahead := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		clerk.ServeHTTP(answer, r)
		maps.Copy(w.Header(), answer.Header())
		w.Header().Set("Date", time.Now().Add(6*time.Minute).UTC().Format(http.TimeFormat))
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}))
	p.Cleanup(ahead.Close)
	s := p.serves("sqlite:"+p.path("clock.db"), clerk, ahead.URL)
	await(p.T, "health says that the clock is wrong", func() bool { return s.warning("clock_skew") != "" })
	p.reads("This server's clock is … behind Clerk's: session tokens are refused as not valid yet, and from five minutes on webhooks are refused too.", s.warning("clock_skew"))
}
