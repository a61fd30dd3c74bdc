package api

import (
	"context"
	"math"
	"net/http"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/publish/webhook"
)

// publisher returns what has the endpoints of outgoing webhooks.
func (h *handler) publisher() (*webhook.Publisher, error) {
	if h.webhooks == nil {
		return nil, &web.Problem{Status: http.StatusNotFound, Code: "not_found", Detail: "This program has no outgoing webhooks"}
	}
	return h.webhooks, nil
}

// endpoints lists the endpoints of outgoing webhooks, in the order in which they were added.
func (h *handler) endpoints(ctx context.Context, _ query) (any, error) {
	p, err := h.publisher()
	if err != nil {
		return nil, err
	}
	return all(p.Endpoints(ctx))
}

func (h *handler) endpoint(ctx context.Context, q query) (any, error) {
	p, err := h.publisher()
	if err != nil {
		return nil, err
	}
	return p.Endpoint(ctx, q.id())
}

// start is a place in the change feed from which messages are sent.
type start struct {
	Cursor mirror.FeedCursor `json:"cursor"`
	At     time.Time         `json:"at"`
}

func (s start) start() webhook.Start { return webhook.Start{Cursor: s.Cursor, At: s.At} }

// newEndpoint is an endpoint to be added.
type newEndpoint struct {
	URL          string       `json:"url"`
	Description  string       `json:"description"`
	Kinds        []clerk.Kind `json:"kinds"`
	Types        []string     `json:"types"`
	Organization string       `json:"organization"`
	From         start        `json:"from"`
}

// addEndpoint adds an endpoint, and returns its secret, which is shown only now.
func (h *handler) addEndpoint(ctx context.Context, c *call, n newEndpoint) (any, error) {
	p, err := h.publisher()
	if err != nil {
		return nil, err
	}
	endpoint, secret, err := p.As(c.by).Add(ctx, webhook.Endpoint{
		URL: n.URL, Description: n.Description, Kinds: n.Kinds, Types: n.Types, ClerkOrganizationID: n.Organization, From: n.From.start(),
	})
	return map[string]any{"endpoint": endpoint, "secret": secret}, ofFeed(err)
}

func (h *handler) removeEndpoint(ctx context.Context, c *call) (any, error) {
	p, err := h.publisher()
	if err != nil {
		return nil, err
	}
	return map[string]string{"removed": c.id()}, p.As(c.by).Remove(ctx, c.id())
}

// changeEndpoint does something to an endpoint, and returns it.
func (h *handler) changeEndpoint(ctx context.Context, c *call, change func(*webhook.Publisher) error) (any, error) {
	p, err := h.publisher()
	if err != nil {
		return nil, err
	}
	if err := change(p.As(c.by)); err != nil {
		return nil, err
	}
	return p.Endpoint(ctx, c.id())
}

func (h *handler) enableEndpoint(ctx context.Context, c *call, _ none) (any, error) {
	return h.changeEndpoint(ctx, c, func(p *webhook.Publisher) error { return p.Enable(ctx, c.id()) })
}

// because says why something is done.
type because struct {
	Reason string `json:"reason"`
}

func (h *handler) disableEndpoint(ctx context.Context, c *call, b because) (any, error) {
	return h.changeEndpoint(ctx, c, func(p *webhook.Publisher) error { return p.Disable(ctx, c.id(), b.Reason) })
}

// resumption says where an endpoint goes on.
type resumption struct {
	From    start `json:"from"`
	Discard bool  `json:"discard"` // what waits or failed
}

func (h *handler) resumeEndpoint(ctx context.Context, c *call, r resumption) (any, error) {
	return h.changeEndpoint(ctx, c, func(p *webhook.Publisher) error {
		return ofFeed(p.Resume(ctx, c.id(), r.From.start(), r.Discard))
	})
}

// pingEndpoint sends a test message, and returns how that ended.
func (h *handler) pingEndpoint(ctx context.Context, c *call, _ none) (any, error) {
	p, err := h.publisher()
	if err != nil {
		return nil, err
	}
	return p.As(c.by).Ping(ctx, c.id())
}

// resending selects what is sent again: a message, or all that failed.
type resending struct {
	Message string `json:"message"`
}

func (h *handler) resendMessages(ctx context.Context, c *call, r resending) (any, error) {
	p, err := h.publisher()
	if err != nil {
		return nil, err
	}
	return counted(p.As(c.by).Resend(ctx, c.id(), r.Message))
}

// rotation says for how many seconds messages are signed with the previous secret, too.
type rotation struct {
	Overlap int64 `json:"overlap"`
}

// rotateSecret gives an endpoint another secret, which is shown only now.
func (h *handler) rotateSecret(ctx context.Context, c *call, r rotation) (any, error) {
	p, err := h.publisher()
	if err != nil {
		return nil, err
	}
	if r.Overlap > math.MaxInt64/int64(time.Second) {
		r.Overlap = -1 // as any other that is too long
	}
	secret, err := p.As(c.by).Rotate(ctx, c.id(), time.Duration(r.Overlap)*time.Second)
	return map[string]string{"secret": secret}, err
}

// attempts lists the attempts to deliver, newest first.
func (h *handler) attempts(ctx context.Context, q query) (any, error) {
	p, err := h.publisher()
	if err != nil {
		return nil, err
	}
	return found(p.Attempts(ctx, mirror.WebhookAttemptFilter{
		EndpointID: q.text("endpoint"), MessageID: q.text("message"), Failed: q.text("failed") == "true", After: q.after(), Limit: q.limit,
	}))
}
