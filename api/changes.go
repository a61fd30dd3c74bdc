package api

import (
	"context"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/feedhttp"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// changes sends a page of the change feed, or with a stream of it if the client accepts
// server-sent events.
func (h *handler) changes(w http.ResponseWriter, r *http.Request, who client) error {
	q, err := parseQuery(r)
	if err != nil {
		return err
	}
	if acceptsEvents(r) {
		return h.stream(w, r, q, who)
	}
	if r.Method == http.MethodHead {
		q.Wait = 0
	}
	page, err := h.page(w, r, q, who)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, page)
}

// acceptsEvents reports whether a client asks for a stream by its name, and does not prefer JSON.
func acceptsEvents(r *http.Request) bool {
	qualities := map[string]float64{}
	for _, line := range r.Header["Accept"] {
		for accepted := range strings.SplitSeq(line, ",") {
			media, p, err := mime.ParseMediaType(accepted)
			if err != nil {
				continue
			}
			quality := 1.0
			if text, has := p["q"]; has {
				if quality, err = strconv.ParseFloat(text, 64); err != nil {
					quality = 0
				}
			}
			qualities[media] = quality
		}
	}
	json := 0.0
	for _, media := range []string{"*/*", "application/*", "application/json"} { // the most specific one counts
		if quality, has := qualities[media]; has {
			json = quality
		}
	}
	stream := qualities["text/event-stream"]
	return stream > 0 && stream >= json
}

// page reads a page, and waits for it if the query says so.
func (h *handler) page(w http.ResponseWriter, r *http.Request, q mirror.FeedQuery, who client) (mirror.FeedPage, error) {
	if q.Wait == 0 {
		return h.read(r.Context(), q)
	}
	leave, err := h.limits.enter(who.key)
	if err != nil {
		return mirror.FeedPage{}, err
	}
	defer leave()
	defer web.Uncounted(r.Context())()
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // else the server takes the client for gone
	ctx, cancel := untilDrained(r.Context())
	defer cancel()
	if !who.expires.IsZero() {
		q.Wait = max(0, min(q.Wait, time.Until(who.expires)))
	}
	page, err := h.read(ctx, q)
	_ = control.SetWriteDeadline(time.Now().Add(writeTimeout))
	if ctx.Err() != nil && r.Context().Err() == nil && q.After != "" { // the server stops, and nothing came
		return mirror.FeedPage{Changes: []mirror.Change{}, Next: q.After}, nil
	}
	if err != nil {
		return page, err
	}
	if _, err := h.authorize(r, false); err != nil { // again: a minute may have passed
		return mirror.FeedPage{}, err
	}
	return page, nil
}

// read reads a page. Its errors are answers.
func (h *handler) read(ctx context.Context, q mirror.FeedQuery) (mirror.FeedPage, error) {
	page, err := h.feed.Page(ctx, q)
	if err != nil {
		return page, feedhttp.Problem(err)
	}
	return page, nil
}

// untilDrained returns a context that ends when the server begins to shut down.
func untilDrained(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	end := func() { cancel(nil) }
	if draining := web.Draining(parent); draining != nil {
		go func() {
			select {
			case <-draining:
				cancel(errServerStops)
			case <-ctx.Done():
			}
		}()
	}
	return ctx, end
}
