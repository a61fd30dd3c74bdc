package clerksync_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/webhook"
)

// deliver sends a body with the given headers to the handler.
func deliverTo(h http.Handler, header http.Header, body io.Reader, length int64) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/api/webhooks/clerk", body)
	r.Header, r.ContentLength = header, length
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func signed(t *testing.T, g *gate, at time.Time, body string) http.Header {
	t.Helper()
	signer, err := webhook.NewSigner(g.clerk.Keys().WebhookSecret)
	if err != nil {
		t.Fatal(err)
	}
	return signer.Sign("msg_1", at, []byte(body))
}

// Memory is for deliveries that can be genuine: what the headers condemn is refused before its body
// is read.
func TestBodiesOfHopelessDeliveriesAreNotRead(t *testing.T) {
	t.Parallel()
	g := openGate(t, clerktest.New(t))
	for name, tc := range map[string]struct {
		change func(http.Header)
		length int64
		status int
		code   string
	}{
		"no signature":       {func(h http.Header) { h.Del("Svix-Signature") }, 10, 400, "invalid_signature"},
		"no id":              {func(h http.Header) { h.Del("Svix-Id") }, 10, 400, "invalid_signature"},
		"two ids":            {func(h http.Header) { h.Add("Svix-Id", "msg_2") }, 10, 400, "invalid_signature"},
		"signature of words": {func(h http.Header) { h.Set("Svix-Signature", "v1,please") }, 10, 400, "invalid_signature"},
		"no timestamp":       {func(h http.Header) { h.Set("Svix-Timestamp", "x") }, 10, 400, "invalid_signature"},
		"compressed":         {func(h http.Header) { h.Set("Content-Encoding", "gzip") }, 10, 415, "unsupported_content_encoding"},
		"too long":           {func(http.Header) {}, clerksync.MaxWebhookBody + 1, 413, "body_too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := signed(t, g, time.Now(), "{}")
			tc.change(h)
			read := errors.New("the body was read")
			w := deliverTo(g.m.WebhookHandler(), h, iotest.ErrReader(read), tc.length)
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.code) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
}

// A timestamp outside the window is refused unread, but for one delivery at a time: a good
// signature shows that the clock is wrong, and operators are warned of it.
func TestUntimelyDeliveriesAreReadOneAtATime(t *testing.T) {
	t.Parallel()
	g := openGate(t, clerktest.New(t))
	body := `{"type":"user.created","data":{"id":"user_1"}}`
	skewed := func() bool {
		for _, w := range g.m.Health(t.Context()).Warnings {
			if w.Code == "clock_skew" {
				return true
			}
		}
		return false
	}
	for _, at := range []time.Duration{-time.Hour, time.Hour} {
		header := signed(t, g, time.Now().Add(at), body)
		reading, in := io.Pipe()
		first := make(chan *httptest.ResponseRecorder)
		go func() { first <- deliverTo(g.m.WebhookHandler(), header, reading, int64(len(body))) }()
		if _, err := in.Write([]byte(body[:1])); err != nil { // it is being read
			t.Fatal(err)
		}
		second := deliverTo(g.m.WebhookHandler(), header, iotest.ErrReader(errors.New("the body was read")), int64(len(body)))
		if second.Code != http.StatusBadRequest || !strings.Contains(second.Body.String(), `"stale_timestamp"`) {
			t.Errorf("the second is answered %d %s", second.Code, second.Body)
		}
		if at < 0 && skewed() {
			t.Error("a delivery that was not verified counts as a wrong clock")
		}
		if _, err := in.Write([]byte(body[1:])); err != nil {
			t.Fatal(err)
		}
		_ = in.Close()
		if w := <-first; w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `"stale_timestamp"`) {
			t.Errorf("the first is answered %d %s", w.Code, w.Body)
		}
	}
	forged := signed(t, g, time.Now().Add(-time.Hour), "other")
	if w := deliverTo(g.m.WebhookHandler(), forged, strings.NewReader(body), int64(len(body))); !strings.Contains(w.Body.String(), `"invalid_signature"`) {
		t.Errorf("a forgery of an hour ago is answered %s", w.Body)
	}
}

// A program that mounts the handler itself has the same bound: unverified bodies take 16 MiB at
// most.
func TestTheHandlerBoundsBodiesByItself(t *testing.T) {
	t.Parallel()
	g := openGate(t, clerktest.New(t))
	server := httptest.NewServer(g.m.WebhookHandler())
	defer server.Close()
	header := signed(t, g, time.Now(), "other")
	const senders = 40 // of 1 MiB each
	answers := make(chan int, senders)
	var bodies []*io.PipeWriter
	for range senders {
		reading, in := io.Pipe()
		bodies = append(bodies, in)
		go func() {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, reading)
			if err != nil {
				panic(err)
			}
			r.Header, r.ContentLength = header.Clone(), clerksync.MaxWebhookBody
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				answers <- 0
				return
			}
			_ = res.Body.Close()
			answers <- res.StatusCode
		}()
		if _, err := in.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	for range senders - 16 {
		if status := <-answers; status != http.StatusServiceUnavailable {
			t.Errorf("one of too many is answered %d", status)
		}
	}
	body := `{"type":"user.created","data":{"id":"user_1"}}`
	w := deliverTo(g.m.WebhookHandler(), signed(t, g, time.Now(), body), strings.NewReader(body), int64(len(body)))
	if w.Code != http.StatusOK {
		t.Errorf("a real delivery is answered %d %s", w.Code, w.Body)
	}
	for _, in := range bodies {
		_ = in.CloseWithError(io.ErrUnexpectedEOF)
	}
}
