package judges

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/browsertest"
)

// startNext builds the Next.js app and starts it.
func (w *world) startNext(t *testing.T) string {
	t.Helper()
	const next = "../node_modules/next/dist/bin/next"
	built := ".next/" + filepath.Base(t.TempDir()) + strconv.Itoa(os.Getpid()) // Next.js builds in the folder of the app only
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Join(w.folder, "next", built)) })
	env := w.environment("NEXT_DIST="+built, "CI=1")
	build := w.program(t, "next", env, next, "build")
	build.Stdout = build
	if err := build.Run(); err != nil {
		t.Fatalf("%v\n%s", err, build.said())
	}
	port := freePort(t)
	address := "http://localhost:" + port
	w.program(t, "next", env, next, "start", "-H", "localhost", "-p", port).start(t, func(line string) bool {
		return strings.Contains(line, "Ready in")
	})
	return address
}

// freePort returns a port on which nothing listens.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Pages that a server renders for whoever is signed in: the handshake.
func (w *world) judgeNext(t *testing.T) {
	t.Parallel()
	grace := w.newPerson(t, "Grace")
	p := w.tab(t, w.startNext(t))
	p.Open("/private")
	p.WaitForPath("/sign-in")
	pictures(p, "/private", ".cl-signIn-start", "next-sign-in")
	signIn(p, grace.Email)
	p.WaitForPath("/private")
	sees := func(what string, want person) {
		t.Helper()
		p.Wait("#server")
		var server struct{ UserID, Name string }
		if err := json.Unmarshal([]byte(p.Text("#server")), &server); err != nil || server.UserID != want.ID || server.Name != want.Name {
			t.Errorf("%s: the server sees %+v, want %+v: %v", what, server, want, err)
		}
	}
	sees("after the sign-in", grace)
	p.Wait(".cl-userButtonTrigger")
	pictures(p, "/private", ".cl-userButtonTrigger", "next-private")

	session := run[string](p, `return Clerk.session.id`)
	p.DisableScript()
	w.expire(t, p, grace, session)
	p.Open("/private")
	sees("with an expired token", grace)
	w.call(t, "POST", "/v1/sessions/"+session+"/revoke", nil, nil)
	w.expire(t, p, grace, session)
	p.Open("/private")
	p.WaitForPath("/sign-in")
}

// expire replaces the session token of a page by one that has expired.
func (w *world) expire(t *testing.T, p *browsertest.Tab, who person, session string) {
	t.Helper()
	var token struct{ JWT string }
	w.call(t, "POST", "/_emulator/tokens", map[string]any{"user_id": who.ID, "session_id": session, "expires_in_seconds": -60}, &token)
	run[bool](p, `
		for (const cookie of document.cookie.split("; "))
			if (cookie.startsWith("__session")) document.cookie = cookie.split("=")[0] + "=" + %q;
		return true`, token.JWT)
}
