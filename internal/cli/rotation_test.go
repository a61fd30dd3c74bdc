package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync/forwardauth"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/webhook"
)

// rotated is a server whose secrets come from files, and its emulated Clerk, which knows any number
// of secret keys.
type rotated struct {
	t        *testing.T
	clerk    *emulator.Emulator
	api      string // URL of the emulated Clerk
	mirror   startedServer
	url      string // public
	operator string // URL of the operators' listener
	folder   string // of the files, as Kubernetes mounts a secret
	logs     testenv.Logs
	accepted atomic.Pointer[[]string] // the secret keys that Clerk accepts now
	used     sync.Map                 // secret keys with which Clerk was asked
	user     string
	session  string
	machine  string
	versions int
	files    map[string]string
}

const secretKeyFile, webhookFile, tokenFile, identityFile, machineFile = "secret-key", "webhook-secret", "operator-token", "identity", "machine"

func newRotated(t *testing.T) *rotated {
	t.Helper()
	clerk, err := emulator.New(emulator.Options{Users: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(clerk.Close)
	r := &rotated{t: t, clerk: clerk, folder: t.TempDir(), files: map[string]string{}}
	server := httptest.NewServer(http.HandlerFunc(r.serveClerk))
	t.Cleanup(server.Close)
	r.api = server.URL
	keys := clerk.Keys(server.URL)
	r.accepted.Store(&[]string{keys.SecretKey})
	var machine struct {
		ID     string
		Secret string `json:"secret_key"`
	}
	if err := clerk.Call(t.Context(), http.MethodPost, "/v1/machines", map[string]any{"name": "this server"}, &machine); err != nil {
		t.Fatal(err)
	}
	r.machine = machine.ID
	r.write(map[string]string{
		secretKeyFile: keys.SecretKey, webhookFile: keys.WebhookSecret, tokenFile: longText + "-1", identityFile: longText + "-id1", machineFile: machine.Secret,
	})
	cfg, _, err := config.Load(config.Options{Environ: []string{
		"DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "clerk.db"), "CLERK_API_URL=" + keys.APIURL, "CLERK_ISSUER=" + keys.Issuer,
		"CLERKSYNC_LISTEN=127.0.0.1:0", "CLERKSYNC_OPERATOR_LISTEN=127.0.0.1:0", "CLERKSYNC_TRUSTED_PROXIES=127.0.0.1", "CLERKSYNC_PROXY=nginx",
		"CLERK_SECRET_KEY_FILE=" + r.path(secretKeyFile), "CLERK_WEBHOOK_SIGNING_SECRET_FILE=" + r.path(webhookFile),
		"CLERKSYNC_OPERATOR_TOKEN_FILE=" + r.path(tokenFile), "CLERKSYNC_IDENTITY_SECRET_FILE=" + r.path(identityFile),
		"CLERKSYNC_MACHINE_ID=" + machine.ID, "CLERK_MACHINE_SECRET_KEY_FILE=" + r.path(machineFile),
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	started, ended := make(chan startedServer, 1), make(chan error, 1)
	go func() { ended <- serve(ctx, cfg, r.logs.Logger(), func(s startedServer) { started <- s }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		if t.Failed() {
			for _, line := range r.logs.Entries(t) {
				if line["msg"] != "request" {
					t.Log(line)
				}
			}
		}
	})
	select {
	case r.mirror = <-started:
	case err := <-ended:
		t.Fatal(err)
	}
	r.url, r.operator = "http://"+r.mirror.addrs[0].String(), "http://"+r.mirror.addrs[1].String()
	until(t, "the backfill", func() bool {
		page, err := r.mirror.mirror.Users().List(t.Context(), mirror.UserFilter{})
		if err == nil && len(page.Items) == 3 {
			r.user = page.Items[0].ClerkUserID
		}
		return r.user != ""
	})
	r.session = r.mint().SessionID
	return r
}

// serveClerk is the emulated Clerk, for each secret key that is accepted now.
func (r *rotated) serveClerk(w http.ResponseWriter, request *http.Request) {
	if key, found := strings.CutPrefix(request.Header.Get("Authorization"), "Bearer sk_"); found {
		r.used.Store("sk_"+key, true)
		request = request.Clone(request.Context())
		request.Header.Set("Authorization", "Bearer sk_test_refused")
		if slices.Contains(*r.accepted.Load(), "sk_"+key) {
			request.Header.Set("Authorization", "Bearer "+r.clerk.Keys("").SecretKey)
		}
	}
	r.clerk.ServeHTTP(w, request)
}

type mintedToken struct {
	Token     string `json:"jwt"`
	SessionID string `json:"session_id"`
}

// mint returns a session token that is signed with the newest key.
func (r *rotated) mint() (m mintedToken) {
	order := map[string]string{"user_id": r.user}
	if r.session != "" {
		order["session_id"] = r.session
	}
	if err := r.clerk.Call(context.Background(), http.MethodPost, "/_emulator/tokens", order, &m); err != nil {
		r.t.Error(err)
	}
	return m
}

func (r *rotated) path(name string) string { return filepath.Join(r.folder, name) }

// write replaces contents of files as Kubernetes does: all files are links into a folder that is
// exchanged at once.
func (r *rotated) write(contents map[string]string) {
	r.t.Helper()
	r.versions++
	version := filepath.Join(r.folder, fmt.Sprintf("..version%d", r.versions))
	if err := os.Mkdir(version, 0o700); err != nil {
		r.t.Fatal(err)
	}
	maps.Copy(r.files, contents)
	for name, content := range r.files {
		if err := os.WriteFile(filepath.Join(version, name), []byte(content+"\n"), 0o600); err != nil {
			r.t.Fatal(err)
		}
		_ = os.Symlink(filepath.Join("..data", name), r.path(name)) // there already, from the second version on
	}
	next := r.path("..next")
	if err := os.Symlink(filepath.Base(version), next); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(next, r.path("..data")); err != nil {
		r.t.Fatal(err)
	}
}

// replaced waits until the server has taken n new secrets of a setting in all.
func (r *rotated) replaced(setting string, n int) {
	r.t.Helper()
	until(r.t, setting+" is replaced", func() bool {
		found := 0
		for _, line := range r.logs.Entries(r.t) {
			if line["setting"] == setting && strings.Contains(line["msg"].(string), "was replaced") {
				found++
			}
		}
		return found >= n
	})
}

// warning returns the messages of the server's warnings with this code, "" if it has none.
func (r *rotated) warning(code string) (messages string) {
	for _, w := range r.mirror.mirror.Health(r.t.Context()).Warnings {
		if w.Code == code {
			messages += w.Message + "\n"
		}
	}
	return messages
}

// ask sends a request and returns status and body.
func (r *rotated) ask(method, address, body string, headers http.Header) (int, string, http.Header) {
	request, err := http.NewRequestWithContext(context.Background(), method, address, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if headers != nil {
		request.Header = headers
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(text), response.Header
}

// load is what goes on while secrets are rotated: nothing of it may be refused.
type load struct {
	signing  atomic.Pointer[webhook.Signer] // as Clerk signs now
	verifies atomic.Pointer[[]string]       // identity secrets that the application accepts
	sent     atomic.Int64
	stop     context.CancelFunc
	done     sync.WaitGroup
}

func (r *rotated) sign(l *load, secrets ...string) {
	r.t.Helper()
	signer, err := webhook.NewSigner(secrets...)
	if err != nil {
		r.t.Fatal(err)
	}
	l.signing.Store(signer)
}

// press sends events, requests with new tokens, and checks of a proxy, until it is stopped.
func (r *rotated) press() *load {
	l := &load{}
	r.sign(l, r.files[webhookFile])
	l.verifies.Store(&[]string{r.files[identityFile]})
	ctx, cancel := context.WithCancel(context.Background())
	l.stop = func() { cancel(); l.done.Wait() }
	r.t.Cleanup(l.stop)
	repeat := func(once func(n int64) string) {
		l.done.Go(func() {
			for ; ctx.Err() == nil; <-time.After(5 * time.Millisecond) { // a load, and no measurement
				if problem := once(l.sent.Add(1)); problem != "" {
					r.t.Error(problem)
					return
				}
			}
		})
	}
	for range 2 {
		repeat(func(n int64) string { return r.sendEvent(l, n) })
	}
	repeat(func(int64) string {
		status, body, _ := r.ask(http.MethodGet, r.url+"/api/auth/me", "", http.Header{"Authorization": {"Bearer " + r.mint().Token}})
		if status != http.StatusOK {
			return fmt.Sprintf("a token was refused: %d %s", status, body)
		}
		return ""
	})
	repeat(func(int64) string { return r.check(l) })
	return l
}

func (r *rotated) sendEvent(l *load, n int64) string {
	body := fmt.Sprintf(`{"type":"user.created","object":"event","timestamp":%d,"data":{"object":"user","id":"user_%d"}}`, time.Now().UnixMilli(), n)
	headers := l.signing.Load().Sign(fmt.Sprintf("msg_%d", n), time.Now(), []byte(body))
	headers.Set("Content-Type", "application/json")
	if status, answer, _ := r.ask(http.MethodPost, r.url+"/api/webhooks/clerk", body, headers); status != http.StatusOK {
		return fmt.Sprintf("an event was refused: %d %s", status, answer)
	}
	return ""
}

// check is a check of a proxy, whose signed identity the application verifies.
func (r *rotated) check(l *load) string {
	status, body, headers := r.ask(http.MethodGet, r.url+"/api/auth/verify", "", http.Header{
		"Authorization": {"Bearer " + r.mint().Token}, "X-Original-Method": {"GET"}, "X-Original-Uri": {"/"}, "X-Forwarded-Host": {"app.example.com"},
	})
	if status != http.StatusOK {
		return fmt.Sprintf("a check was refused: %d %s", status, body)
	}
	var failed error
	for _, secret := range *l.verifies.Load() {
		here := forwardauth.Audience{Host: "app.example.com", Path: "/"}
		if _, failed = forwardauth.VerifyIdentity(secret, headers.Get("X-Clerk-Identity"), here, time.Now()); failed == nil {
			return ""
		}
	}
	return fmt.Sprintf("the application refuses an identity: %v", failed)
}

// All secrets are rotated on a live server under load, as docs/operations.md says, and no event, no
// token and no identity is refused.
func TestSecretsAreRotatedUnderLoad(t *testing.T) {
	t.Parallel()
	r := newRotated(t)
	l := r.press()

	// The webhook secret: Clerk signs with both, then the file gets the new one, then Clerk signs
	// with the new one alone.
	before, after := r.files[webhookFile], "whsec_"+strings.Repeat("bmV3", 8)
	r.sign(l, after, before)
	r.write(map[string]string{webhookFile: before + "," + after})
	r.replaced("CLERK_WEBHOOK_SIGNING_SECRET", 1)
	r.sign(l, after)
	r.write(map[string]string{webhookFile: after})
	r.replaced("CLERK_WEBHOOK_SIGNING_SECRET", 2)
	old := &load{}
	r.sign(old, before)
	if problem := r.sendEvent(old, 1<<40); !strings.Contains(problem, "400") {
		t.Errorf("the old webhook secret still counts: %q", problem)
	}

	// Clerk's signing keys: the new one signs at once, the one before stays published.
	r.clerk.RotateKeys()
	rest := l.sent.Load() + 20
	until(t, "more load", func() bool { return l.sent.Load() > rest })

	// The secret key: Clerk accepts both, then the file gets the new one, then the old one is
	// deleted.
	oldKey, newKey := r.files[secretKeyFile], "sk_test_"+strings.Repeat("new", 14)
	r.accepted.Store(&[]string{oldKey, newKey})
	r.write(map[string]string{secretKeyFile: newKey})
	r.replaced("CLERK_SECRET_KEY", 1)
	r.accepted.Store(&[]string{newKey})
	r.used.Clear()
	if err := r.mirror.mirror.FetchKeys(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := r.mirror.mirror.Users().SetRole(t.Context(), r.user, "growth", mirror.By{Actor: "ada"}); err != nil {
		t.Error(err)
	}
	r.used.Range(func(key, _ any) bool {
		if key != newKey {
			t.Error("Clerk was asked with the old secret key")
		}
		return true
	})

	// The secret key of the server's machine.
	oldMachine := r.files[machineFile]
	var machine struct{ Secret string }
	path := "/v1/machines/" + r.machine + "/secret_key/rotate"
	if err := r.clerk.Call(t.Context(), http.MethodPost, path, map[string]any{"previous_token_ttl": 3600}, &machine); err != nil {
		t.Fatal(err)
	}
	r.write(map[string]string{machineFile: machine.Secret})
	r.replaced("CLERK_MACHINE_SECRET_KEY", 1)

	// The secret of the signed identity: applications accept both, then the file gets the new one.
	oldID, newID := r.files[identityFile], longText+"-id2"
	l.verifies.Store(&[]string{oldID, newID})
	r.write(map[string]string{identityFile: newID})
	r.replaced("CLERKSYNC_IDENTITY_SECRET", 1)
	l.verifies.Store(&[]string{newID})
	rest = l.sent.Load() + 20
	until(t, "more load", func() bool { return l.sent.Load() > rest })

	// The token of the unnamed operator.
	oldToken, newToken := r.files[tokenFile], longText+"-2"
	r.write(map[string]string{tokenFile: newToken})
	r.replaced("CLERKSYNC_OPERATOR_TOKEN", 1)
	for token, want := range map[string]int{newToken: http.StatusOK, oldToken: http.StatusUnauthorized} {
		if status, body, _ := r.ask(http.MethodGet, r.operator+"/api/users", "", http.Header{"Authorization": {"Bearer " + token}}); status != want {
			t.Errorf("an operator's token: %d %s", status, body)
		}
	}
	l.stop()
	if n := l.sent.Load(); n < 100 {
		t.Errorf("only %d requests", n)
	}
	r.logs.MustNotContain(t, before, after, oldKey, newKey, oldMachine, machine.Secret, oldID, newID, oldToken, newToken)
}

// A new content that cannot be used leaves the secret before in force. It is one line of the log,
// and a warning until the file is right.
func TestUnusableSecretsAreNotTaken(t *testing.T) {
	t.Parallel()
	r := newRotated(t)
	l := r.press()
	key := r.files[secretKeyFile]
	for _, broken := range []map[string]string{ // contents by file
		{webhookFile: "whsec_garbage!", identityFile: "short"},
		{webhookFile: "", secretKeyFile: "sk_test_" + strings.Repeat("bad", 14)},
		{tokenFile: longText + "-id1"}, // the identity secret, which applications know
	} {
		good := maps.Clone(r.files)
		r.write(broken)
		for _, says := range map[string][]string{ // by what is unique in it
			"whsec_garbage!":  {"CLERK_WEBHOOK_SIGNING_SECRET has", "not valid base64", "CLERKSYNC_IDENTITY_SECRET has", "shorter than 32"},
			"":                {"CLERK_WEBHOOK_SIGNING_SECRET has", "empty", "CLERK_SECRET_KEY has", "Clerk refuses the secret key"},
			longText + "-id1": {"CLERKSYNC_OPERATOR_TOKEN has", "the same as another secret"},
		}[broken[webhookFile]+broken[tokenFile]] {
			until(t, "a warning with "+says, func() bool { return strings.Contains(r.warning("secret_file_unused"), says) })
		}
		r.write(good)
		until(t, "the warning ends", func() bool { return r.warning("secret_file_unused") == "" })
	}
	if err := os.Remove(r.path(webhookFile)); err != nil { // the file goes, as in a bad deployment
		t.Fatal(err)
	}
	until(t, "a warning of the lost file", func() bool { return strings.Contains(r.warning("secret_file_unused"), "no such file") })
	l.stop()
	if _, refused := r.used.Load("sk_test_" + strings.Repeat("bad", 14)); !refused {
		t.Error("the new secret key was not tried")
	}
	if text := r.warning("secret_key_refused"); text != "" {
		t.Errorf("a key that is not in force is counted: %s", text)
	}
	lines := 0
	for _, line := range r.logs.Entries(t) {
		if strings.Contains(line["msg"].(string), "is not used") {
			lines++
		}
	}
	if lines != 6 {
		t.Errorf("%d lines of the log for 6 unusable contents", lines)
	}
	r.logs.MustNotContain(t, key, "garbage", longText)
}
