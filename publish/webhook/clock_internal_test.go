package webhook

import (
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// A server whose clock was a year ahead noted when messages are due.
func TestMessagesOfAClockThatWasAheadAreSent(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(e *env) {
		p, r := e.publisher(limits{}), newReceiver(e.T)
		id, secret := e.add(p, Endpoint{URL: r.URL})
		r.uses(secret)
		sent := e.change("user_1", "user_2", "user_1")
		page, err := e.feed.Page(e.Context(), mirror.FeedQuery{After: mirror.FeedStart})
		e.must(err)
		e.must(e.db.Update(e.Context(), func(tx *store.Tx) error {
			return tx.QueueWebhookMessages(e.Context(), id, page.Changes, page.Next, time.Now().AddDate(1, 0, 0))
		}))
		e.run(p)
		e.arrived(r, sent)
		checkOrder(e.T, r.received(), sent)
	})
}
