package clerksync

import (
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/webhook"
)

// maxWebhookBodies bounds the memory of bodies whose signatures are not verified yet. Svix sends some 350 kB at most, and
// a few kB as a rule.
const maxWebhookBodies = 16 << 20

// admission bounds what deliveries cost before their signatures are verified.
type admission struct {
	bodies   *web.Bodies
	untimely atomic.Bool // a delivery outside the time window is being read
}

// admit reads the body of a delivery unless its headers alone are a reason to refuse it. The caller releases the body.
func (m *Mirror) admit(w http.ResponseWriter, r *http.Request) (*web.Body, error) {
	err := m.webhooks.CheckHeaders(r.Header)
	refused, _ := errors.AsType[*webhook.Error](err)
	switch {
	case err == nil:
	case !refused.Untimely():
		return nil, m.unsigned(err)
	case !m.admission.untimely.CompareAndSwap(false, true):
		return nil, untimely(err)
	default:
		// One at a time is read anyway: only its signature tells a wrong clock from a forgery.
		defer m.admission.untimely.Store(false)
	}
	return m.admission.bodies.Read(w, r, MaxWebhookBody)
}

func untimely(err error) error {
	return &web.Problem{
		Status: http.StatusBadRequest, Code: "stale_timestamp", Err: err,
		Detail: "The webhook's timestamp is not within five minutes of this server's clock",
	}
}

// reported logs refused deliveries as incidents: anyone can send them, and as many as they like.
func (m *Mirror) reported(next web.HandlerFunc) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := next(w, r)
		p, ok := errors.AsType[*web.Problem](err)
		if !ok || !anonymous(p.Code) {
			return err
		}
		reason, _ := p.Extra["reason"].(string)
		attrs := []slog.Attr{slog.String("code", p.Code)}
		if reason != "" {
			attrs = append(attrs, slog.String("reason", reason))
		}
		if p.Err != nil {
			attrs = append(attrs, slog.Any("error", p.Err))
		}
		m.incidents.Report(slog.LevelWarn, "webhook "+p.Code+" "+reason, "webhook deliveries are refused", attrs...)
		p.Reported = true
		return err
	}
}

// anonymous reports whether a delivery is refused with this code without a verified signature.
func anonymous(code string) bool {
	switch code {
	case "method_not_allowed", "webhook_secret_unset", "invalid_signature", "stale_timestamp", "body_too_large",
		"unsupported_content_encoding", "request_timeout", "body_unreadable", "server_busy":
		return true
	default:
		return false
	}
}
