package clerksync_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

const grace = "user_grace"

// markers are what must be found nowhere once Grace was erased.
var markers = []string{
	"Zgracefirst", "Zgracelast", "zgrace@mail.example", "zgrace.old@mail.example", "+4915199887766", "Zpublicvalue", "Zprivatevalue",
	"Zunsafevalue", "Zcityofgrace", "Zmembermeta", "Zimageofgrace", "Zusernameofgrace", "Zinvitedmeta", "Zwaiting",
	"Zothercase", "Zencodedonce", "Zencodedtwice", "Zspacedphone", "Znationalphone", "Zencodedphone", "Zwonbyname", "Zmentioned",
}

const graceObject = `{"object":"user","id":"user_grace","first_name":"Zgracefirst","last_name":"Zgracelast","username":"Zusernameofgrace",
	"image_url":"https://img.example/Zimageofgrace","primary_email_address_id":"idn_1","email_addresses":[
	{"id":"idn_1","email_address":"zgrace@mail.example"},{"id":"idn_2","email_address":"zgrace.old@mail.example"}],
	"phone_numbers":[{"id":"idn_3","phone_number":"+4915199887766"}],"public_metadata":{"a":"Zpublicvalue","n":%d},
	"private_metadata":{"a":"Zprivatevalue%s"},"unsafe_metadata":{"a":"Zunsafevalue"},"created_at":1780000000000,"updated_at":%d}`

const graceSlice = `{"user_id":"user_grace","first_name":"Zgracefirst","last_name":"Zgracelast","image_url":"https://img.example/Zimageofgrace","identifier":"zgrace@mail.example"}`

const gracePayer = `{"object":"commerce_payer","id":"cpayer_1","user_id":"user_grace","first_name":"Zgracefirst","email":"zgrace@mail.example"}`

// base is the beginning of times a hundred days ago; times in the bodies begin with 17800000 in its
// stead.
var base = strconv.FormatInt(time.Now().Add(-100*24*time.Hour).UnixMilli()/100_000, 10)

// later8 is base a hundred seconds on.
var later8 = strconv.FormatInt(time.Now().Add(-100*24*time.Hour).UnixMilli()/100_000+1, 10)

func envelope(eventType string, at int, data string) string {
	return strings.ReplaceAll(fmt.Sprintf(`{"object":"event","type":%q,"timestamp":%d,"instance_id":"ins_1","data":%s,
		"event_attributes":{"http_request":{"client_ip":"203.0.113.24","user_agent":"x"}}}`, eventType, 1780000000000+at, data), "17800000", base)
}

// lifeOfGrace is every kind of event that can tell of her. Those by address name her by that alone.
func lifeOfGrace() (events, byAddress []string) {
	user := func(n int) string {
		return fmt.Sprintf(graceObject, n, strings.Repeat(" Zprivatevalue", n*40), 1780000000000+n)
	}
	for n := range 12 {
		events = append(events, envelope("user.updated", n, user(n)))
	}
	for n := range 15 {
		events = append(events, envelope("session.created", 100+n, fmt.Sprintf(`{"object":"session","id":"sess_grace_%d","user_id":"user_grace","status":"active",
			"latest_activity":{"city":"Zcityofgrace","ip_address":"198.51.100.99"},"created_at":1780000000100,"updated_at":1780000000100,"user":%s}`, n, user(3))))
	}
	organization := `{"object":"organization","id":"org_1","name":"Acme","created_by":"user_grace","updated_at":1780000000000}`
	events = append(events,
		envelope("organization.created", 0, organization),
		envelope("organizationMembership.created", 200, `{"object":"organization_membership","id":"orgmem_1","role":"org:admin","public_metadata":{"a":"Zmembermeta"},
			"organization":`+organization+`,"public_user_data":`+graceSlice+`,"created_at":1780000000200,"updated_at":1780000000200}`),
		envelope("organizationInvitation.created", 210, `{"object":"organization_invitation","id":"orginv_by","email_address":"alan@example.com","organization_id":"org_1",
			"inviter_id":"user_grace","public_inviter_data":`+graceSlice+`,"role":"org:member","status":"pending","created_at":1780000000210,"updated_at":1780000000210}`),
		envelope("organizationInvitation.created", 220, `{"object":"organization_invitation","id":"orginv_to","email_address":"ZGrace@mail.example","organization_id":"org_1",
			"public_metadata":{"a":"Zinvitedmeta"},"role":"org:member","status":"pending","created_at":1780000000220,"updated_at":1780000000220}`),
		envelope("subscription.created", 230, `{"object":"commerce_subscription","id":"csub_1","status":"active","payer_id":"cpayer_1","payer":`+gracePayer+`,
			"items":[{"object":"commerce_subscription_item","id":"csubitem_1","status":"active","payer":`+gracePayer+`}],"created_at":1780000000230,"updated_at":1780000000230}`),
		envelope("paymentAttempt.created", 240, `{"object":"commerce_payment_attempt","id":"cpay_1","status":"paid","payer":`+gracePayer+`,"created_at":1780000000240,"updated_at":1780000000240}`),
		envelope("waitlistEntry.created", 250, `{"object":"waitlist_entry","id":"wle_1","email_address":"zgrace@mail.example","note":"Zwaiting","status":"pending","created_at":1780000000250,"updated_at":1780000000250}`),
		envelope("user.danced", 260, `{"object":"dance","partner":{"id":"user_grace","name":"Zgracefirst"}}`),
		envelope("user.danced", 261, `{"object":"dance","partners":["user_grace"],"name":"Zgracefirst"}`),
		envelope("user.danced", 262, `{"object":"dance","of":"https://x.example/user_grace/dances","name":"Zgracefirst"}`),
		envelope("user.updated", 270, `{"object":"session","id":"user_grace","first_name":"Zgracefirst"}`),
	)
	byAddress = []string{
		envelope("user.created", 300, `{"object":"user","first_name":"Zgracefirst","email_addresses":[{"email_address":"zgrace.old@mail.example"}]}`),
		envelope("phone.called", 310, `{"object":"call","to":"+4915199887766","by":"Zgracelast"}`),
		envelope("mail.bounced", 320, `{"object":"mail","to":"ZGrace@Mail.Example","note":"Zothercase"}`),
		envelope("link.opened", 330, `{"object":"link","href":"https://x.example/?to=zgrace%40mail.example&n=Zencodedonce"}`),
		envelope("link.opened", 331, `{"object":"link","href":"https://x.example/?next=%2Fin%3Fto%3DZgrace.Old%2540mail.example%26n%3DZencodedtwice"}`),
		envelope("phone.called", 340, `{"object":"call","to":"+49 (151) 998-877 66","note":"Zspacedphone"}`),
		envelope("phone.called", 341, `{"object":"call","to":"(0151) 99887766","note":"Znationalphone"}`),
		envelope("phone.called", 342, `{"object":"call","href":"tel:%2B49%20151%2099887766","note":"Zencodedphone"}`),
		envelope("game.won", 350, `{"object":"game","winner":"Zusernameofgrace","note":"Zwonbyname"}`),
		envelope("chat.said", 351, `{"object":"chat","text":"thanks, @zusernameofgrace! Zmentioned"}`),
	}
	return events, byAddress
}

// traces are the markers found in the SQLite files, byte by byte, or in the text of all tables on
// Postgres.
func traces(b *bench) (found []string) {
	b.Helper()
	var all []byte
	if b.driver == "sqlite" {
		for _, suffix := range []string{"", "-wal"} {
			content, err := os.ReadFile(b.dsn + suffix)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				b.Fatal(err)
			}
			all = append(all, content...)
		}
	} else {
		all = dump(b)
	}
	if !bytes.Contains(all, []byte("Zbystander")) || !bytes.Contains(all, []byte(grace)) {
		b.Fatal("the scan does not see what it should")
	}
	all = bytes.ToLower(all)
	for _, m := range markers {
		if bytes.Contains(all, bytes.ToLower([]byte(m))) {
			found = append(found, m)
		}
	}
	return found
}

// dump is the text of all tables.
func dump(b *bench) (all []byte) {
	db := testkit.PlainSQL(b, b.driver, b.dsn)
	texts := func(query string) (list []string) {
		rows, err := db.QueryContext(b.Context(), query)
		if err != nil {
			b.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				b.Fatal(err)
			}
			list = append(list, text)
		}
		if rows.Err() != nil {
			b.Fatal(rows.Err())
		}
		return list
	}
	for _, table := range texts("SELECT table_name::text FROM information_schema.tables WHERE table_name LIKE 'clerk_%' AND table_type = 'BASE TABLE'") {
		all = append(all, strings.Join(texts("SELECT t::text FROM "+table+" t"), "\n")...)
	}
	return all
}

// live makes Grace live among others, and answers her events.
func live(b *bench) (events, byAddress []string) {
	events, byAddress = lifeOfGrace()
	for i, body := range append(append([]string{}, events...), byAddress...) {
		for n := range 2 {
			b.event(envelope("user.updated", i, fmt.Sprintf(`{"object":"user","id":"user_%d_%d","first_name":"Zbystander","public_metadata":{"x":%q},"updated_at":%d}`,
				i%7, n, strings.Repeat("y", 50*i), 1780000000000+i)))
		}
		b.send(fmt.Sprintf("msg_grace_%d", i), []byte(body), nil)
	}
	// the same id with another body is kept beside it
	if _, answer := b.send("msg_grace_0", []byte(envelope("user.updated", 0, fmt.Sprintf(graceObject, 0, "other", 5))), nil); answer["status"] != "quarantined" {
		b.Fatalf("an altered duplicate is %v", answer)
	}
	return events, byAddress
}

// again delivers all events once more, replays the inbox, and delivers what names her under other
// message ids.
func again(b *bench, events, byAddress []string) {
	b.Helper()
	for i, body := range append(append([]string{}, events...), byAddress...) {
		if status, answer := b.send(fmt.Sprintf("msg_grace_%d", i), []byte(body), nil); status != 200 || answer["status"] != "duplicate" {
			b.Errorf("event %d again: %d %v", i, status, answer)
		}
	}
	for d, err := range b.m.Deliveries().All(b.Context(), mirror.DeliveryFilter{Limit: 20}) {
		if err != nil {
			b.Fatal(err)
		}
		_, err := b.m.Deliveries().Replay(b.Context(), d.MessageID, mirror.By{})
		if erased := d.State == mirror.DeliveryErased; erased != (err != nil) {
			b.Errorf("replay of %s (%s): %v", d.MessageID, d.State, err)
		}
	}
	for i, body := range events {
		b.send(fmt.Sprintf("msg_other_%d", i), []byte(body), nil)
		b.send(fmt.Sprintf("msg_later_%d", i), []byte(strings.ReplaceAll(body, `"updated_at":`+base, `"updated_at":`+later8)), nil)
	}
}

// TestErasureLeavesNoTrace: a person who is erased on demand is nowhere in the files, and does not
// come back.
func TestErasureLeavesNoTrace(t *testing.T) {
	t.Parallel()
	onBothEngines(t, nil, func(b *bench) {
		events, byAddress := live(b)
		if found := traces(b); len(found) != len(markers) {
			b.Fatalf("before the erasure only %v are found", found)
		}
		if _, _, err := b.m.Users().Erase(b.Context(), "user_nobody"); !errors.Is(err, clerksync.ErrNotFound) {
			b.Errorf("erasing nobody: %v", err)
		}
		receipt, scrubbed, err := b.m.Users().Erase(b.Context(), grace)
		if err != nil || !scrubbed {
			b.Fatalf("erase: scrubbed %v, %v", scrubbed, err)
		}
		if receipt.Cause != "erased" || receipt.Rows < 20 || receipt.Bodies < int64(len(events)) || receipt.DoneAt.IsZero() {
			b.Errorf("receipt %+v", receipt)
		}
		if found := traces(b); len(found) > 0 {
			b.Errorf("left after the erasure: %v", found)
		}
		again(b, events, byAddress)
		for _, id := range []string{"msg_other_0", "msg_later_0", "msg_other_20"} {
			if d, err := b.m.Deliveries().ByMessageID(b.Context(), id); err != nil || d.State != mirror.DeliveryErased || d.Body() != "" {
				b.Errorf("a later delivery is %+v, %v", d, err)
			}
		}
		if found := traces(b); len(found) > 0 {
			b.Errorf("back after everything was delivered and replayed: %v", found)
		}
		if _, err := b.m.Users().ByClerkID(b.Context(), grace); !errors.Is(err, clerksync.ErrNotFound) {
			b.Errorf("Grace is back: %v", err)
		}
		if _, _, err := b.m.Users().Erase(b.Context(), grace); err != nil {
			b.Errorf("erase twice: %v", err)
		}
	})
}

// TestHoldback: a deletion hides at once; the data goes when the hold ends, and at once where
// nothing is held back.
func TestHoldback(t *testing.T) {
	t.Parallel()
	deleted := func(b *bench, days int) {
		at := time.Now().Add(-time.Duration(days) * 24 * time.Hour).UnixMilli()
		b.event(strings.Replace(envelope("user.deleted", 0, `{"object":"user","id":"user_grace","deleted":true}`), `"timestamp":`+base+"00000", fmt.Sprintf(`"timestamp":%d`, at), 1))
		if _, err := b.m.Users().ByClerkID(b.Context(), grace); !errors.Is(err, clerksync.ErrNotFound) {
			b.Errorf("the deleted user is visible: %v", err)
		}
	}
	for name, hold := range map[string]time.Duration{"held": 0, "at once": clerksync.EraseAtOnce} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBothEngines(t, func(c *clerksync.Config) { c.EraseAfter = hold }, func(b *bench) {
				events, byAddress := live(b)
				deleted(b, 29)
				if hold == 0 {
					if err := b.m.EraseDue(b.Context()); err != nil || len(traces(b)) != len(markers) {
						b.Errorf("a day before the hold ends there is %v, %v", traces(b), err)
					}
					deleted(b, 31)
				}
				if err := b.m.EraseDue(b.Context()); err != nil {
					b.Fatal(err)
				}
				again(b, events, byAddress)
				if found := traces(b); len(found) > 0 {
					b.Errorf("there is still %v", found)
				}
			})
		})
	}
}

// What a consumer said of changes of a user who is erased is erased, too. Errors about others stay.
func TestErasureRemovesErrorsOfConsumers(t *testing.T) {
	t.Parallel()
	onSharedDatabase(t, func(s *shared) {
		m := s.mirror(nil)
		go m.Consume(s.Context(), "mail", func(_ context.Context, c mirror.Change) error {
			if c.Operation == mirror.Created {
				return errors.New("no mailbox for Z" + c.ID)
			}
			return nil
		}, clerksync.StartAt(mirror.FeedStart), clerksync.ParkAfter(1))
		for _, id := range []string{"user_alan", grace} { // the last error names her
			if _, err := m.Users().Apply(s.Context(), json.RawMessage(`{"object":"user","id":"`+id+`","updated_at":1790000000000}`)); err != nil {
				s.Fatal(err)
			}
			clerktest.Consumed(s.T, m, "mail")
		}
		errorsOf := func() (list []string) {
			page, err := m.Feed().ParkedChanges(s.Context(), "mail", mirror.ParkedFilter{})
			consumers, err2 := m.Feed().Consumers(s.Context())
			if err != nil || err2 != nil || len(consumers) != 1 {
				s.Fatal(err, err2, consumers)
			}
			for i := range page.Items {
				list = append(list, page.Items[i].Error)
			}
			return append(list, consumers[0].LastError)
		}
		if got, want := errorsOf(), []string{"no mailbox for Zuser_alan", "no mailbox for Zuser_grace", "no mailbox for Zuser_grace"}; !slices.Equal(got, want) {
			s.Fatalf("before: %q", got)
		}
		if _, _, err := m.Users().Erase(s.Context(), grace); err != nil {
			s.Fatal(err)
		}
		if got, want := errorsOf(), []string{"no mailbox for Zuser_alan", "", ""}; !slices.Equal(got, want) {
			s.Errorf("after: %q", got)
		}
	})
}
