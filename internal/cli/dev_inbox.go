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
	Data string
	body []byte
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
		Type string          `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &parsed); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if !known {
		in.received = slices.Insert(in.received, 0, devMessage{At: time.Now(), ID: message.ID, Type: parsed.Type, Data: string(parsed.Data), body: body})
		in.received = in.received[:min(len(in.received), devInboxSize)]
	}
	select {
	case in.arrived <- struct{}{}:
	default:
	}
	w.WriteHeader(http.StatusNoContent)
}

var devInboxPage = template.Must(template.New("inbox").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2"><title>Received webhooks</title>
<style>body{font:14px system-ui,sans-serif;margin:2rem}td,th{text-align:left;padding:.25rem .75rem;vertical-align:top}code{font-size:12px}</style>
<h1>Received webhooks</h1>
<p>clerksync sends each change to this page as a signed message. The signatures of these were verified.</p>
<table><thead><tr><th scope="col">At<th scope="col">Type<th scope="col">Message<th scope="col">Data</thead><tbody>
{{range .}}<tr><td>{{.At.Format "15:04:05.000"}}<td>{{.Type}}<td><code>{{.ID}}</code><td><code>{{.Data}}</code>
{{else}}<tr><td colspan="4">Nothing has arrived yet.
{{end}}</tbody></table></html>
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
			fmt.Fprintf(w, "Each change is also sent as a signed webhook. The latest of those that arrived at %s:\n\n  %s\n\n", in.url, received[0].body)
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
