package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/clerksync/clerksync/internal/web"
	outgoing "github.com/clerksync/clerksync/publish/webhook"
	"github.com/clerksync/clerksync/webhook"
)

const (
	// devInboxSize is how many messages the page shows.
	devInboxSize = 100
	// devInboxName describes the endpoint, so that a later run finds that of an earlier one.
	devInboxName = "the page of clerksync dev"
)

// devInbox plays another system that receives webhooks from clerksync: it verifies them, and shows
// them on a page.
type devInbox struct {
	url   string
	ended chan error

	mu       sync.Mutex
	verifier *webhook.Verifier
	received []devMessage // newest first
	arrived  chan struct{}
}

// devMessage is a verified message as the page shows it.
type devMessage struct {
	At   time.Time
	ID   string
	Type string
	Body string
}

// newDevInbox listens on a free port until the context ends.
func newDevInbox(ctx context.Context) (*devInbox, error) {
	in := &devInbox{ended: make(chan error, 1), arrived: make(chan struct{}, 1), verifier: &webhook.Verifier{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /hooks", in.receive)
	mux.HandleFunc("GET /{$}", in.page)
	logger := slog.New(slog.DiscardHandler)
	listening, err := web.Listen(ctx, logger, shutdownTimeout, web.NewServer("127.0.0.1:0", ownHost("127.0.0.1:0", mux)))
	if err != nil {
		return nil, err
	}
	in.url = "http://" + listening.Addrs()[0].String()
	go func() { in.ended <- listening.Serve(ctx) }()
	return in, nil
}

// subscribe adds an endpoint that sends here, in place of one of an earlier run.
func (in *devInbox) subscribe(ctx context.Context, publisher *outgoing.Publisher) error {
	endpoints, err := publisher.Endpoints(ctx)
	if err != nil {
		return err
	}
	for i := range endpoints {
		if endpoints[i].Description == devInboxName {
			if err := publisher.Remove(ctx, endpoints[i].ID); err != nil {
				return err
			}
		}
	}
	_, secret, err := publisher.Add(ctx, outgoing.Endpoint{URL: in.url + "/hooks", Description: devInboxName})
	if err != nil {
		return err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.verifier, err = webhook.NewVerifier(webhook.Config{Secrets: []string{secret}})
	return err
}

// receive does what each receiver does: read the body within a bound, verify, and only then parse.
func (in *devInbox) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	message, err := in.verifier.Verify(r.Header, body)
	if err != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	known := slices.ContainsFunc(in.received, func(m devMessage) bool { return m.ID == message.ID })
	var parsed struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(body, &parsed); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if !known {
		in.received = slices.Insert(in.received, 0, devMessage{At: time.Now(), ID: message.ID, Type: parsed.Type, Body: string(body)})
		in.received = in.received[:min(len(in.received), devInboxSize)]
	}
	select {
	case in.arrived <- struct{}{}:
	default:
	}
	w.WriteHeader(http.StatusNoContent)
}

var devInboxPage = template.Must(template.New("inbox").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="refresh" content="2">
<title>Received webhooks</title>
<style>
:root { color-scheme: light dark; --back: #f6f7f9; --card: #fff; --line: #dde1e6; --text: #1c2127; --quiet: #5a6472; }
@media (prefers-color-scheme: dark) {
  :root { --back: #14171b; --card: #1e2329; --line: #333b45; --text: #e7eaee; --quiet: #a0aab6; }
}
* { box-sizing: border-box; margin: 0; }
body { background: var(--back); color: var(--text); font: 14px/1.45 system-ui, sans-serif; max-width: 1100px; margin: auto; padding: 16px; }
h1 { font-size: 22px; }
header p, time, .body, .none { color: var(--quiet); }
ol { list-style: none; padding: 0; margin-top: 16px; display: grid; gap: 8px; }
li { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 8px 12px; overflow-wrap: anywhere; }
h2 { font-size: 14px; font-weight: 600; display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 16px; }
time { font-weight: normal; font-variant-numeric: tabular-nums; }
.body { font: 12px/1.5 ui-monospace, monospace; }
.none { border-style: dashed; }
</style>
</head>
<body>
<header>
  <h1>Received webhooks</h1>
  <p>clerksync sends each change to this page as a signed message. These are the latest; their signatures were verified.</p>
</header>
<ol>
{{range .}}<li><h2>{{.Type}} <time>{{.At.Format "15:04:05.000"}}</time></h2><p class="body">{{.Body}}</p></li>
{{else}}<li class="none">Nothing has arrived yet.</li>
{{end}}</ol>
</body>
</html>
`))

// page shows what was received, newest first.
func (in *devInbox) page(w http.ResponseWriter, _ *http.Request) {
	in.mu.Lock()
	received := slices.Clone(in.received)
	in.mu.Unlock()
	var page bytes.Buffer
	if err := devInboxPage.Execute(&page, received); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_, _ = page.WriteTo(w)
}

// show prints one of the messages that arrived, and waits a little for the first.
func (in *devInbox) show(ctx context.Context, w io.Writer) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		in.mu.Lock()
		received := slices.Clone(in.received)
		in.mu.Unlock()
		if len(received) > 0 {
			fmt.Fprintf(w, "Each change is also sent as a signed webhook. The latest of those that arrived at %s:\n\n  %s\n\n", in.url, received[0].Body)
			return
		}
		select {
		case <-ctx.Done():
			fmt.Fprintf(w, "No webhook arrived at %s yet.\n\n", in.url)
			return
		case <-in.arrived:
		}
	}
}
