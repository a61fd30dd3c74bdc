package receive

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/refusals"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/webhook"
)

// admit reads the body of a delivery, unless its headers alone are a reason to refuse it. The
// caller releases the body.
func (c *Receiver) admit(w http.ResponseWriter, r *http.Request, verifier *webhook.Verifier) (*web.Body, error) {
	err := verifier.CheckHeaders(r.Header)
	refused, _ := errors.AsType[*webhook.Error](err)
	switch {
	case err == nil:
	case !refused.Untimely():
		return nil, c.unsigned(err)
	case !c.untimely.CompareAndSwap(false, true):
		return nil, untimely(err)
	default:
		// One such body at a time is read: only its signature distinguishes a wrong clock from a
		// forgery.
		defer c.untimely.Store(false)
	}
	return c.bodies.Read(w, r, MaxBody)
}

func untimely(err error) error {
	return &web.Problem{
		Status: http.StatusBadRequest, Code: "stale_timestamp", Err: err,
		Detail: "The webhook's timestamp is not within five minutes of this server's clock",
	}
}

// countRefusal counts a refused delivery that looks like one of Clerk's: well formed in every
// header and signed just now. Anyone can send anything to this route, and noise must not look
// like a wrong secret.
func (c *Receiver) countRefusal(h http.Header, err error) {
	refused, ok := errors.AsType[*webhook.Error](err)
	if !ok {
		return
	}
	switch refused.Reason {
	case webhook.ReasonStaleTimestamp, webhook.ReasonFutureTimestamp:
		c.config.Refusals.Add(refusals.Clock)
	case webhook.ReasonNoMatchingSignature:
		if c.config.Scheme == webhook.SchemeDangerousHMACBody || looksSigned(h, refused.Header, c.config.Now()) {
			c.config.Refusals.Add(refusals.Signature)
		}
	default:
	}
}

// looksSigned reports whether a signature has the right form and the time next to it is now.
func looksSigned(h http.Header, signatureHeader string, now time.Time) bool {
	seconds, err := strconv.ParseInt(h.Get(strings.TrimSuffix(signatureHeader, "Signature")+"Timestamp"), 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > webhook.DefaultTolerance {
		return false
	}
	for part := range strings.SplitSeq(h.Get(signatureHeader), " ") {
		if text, ok := strings.CutPrefix(part, "v1,"); ok {
			if sum, err := base64.StdEncoding.DecodeString(text); err == nil && len(sum) == 32 {
				return true
			}
		}
	}
	return false
}
