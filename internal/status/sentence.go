package status

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// Sentence returns the verdict in words: what is proven, or every reason why it is not, with its
// remedy.
func Sentence(f *Facts, reasons []mirror.SyncReason) string {
	if len(reasons) == 0 {
		return proof(f)
	}
	texts := []string{}
	for _, r := range Merge(reasons) {
		texts = append(texts, r.String())
	}
	return strings.Join(texts, "; ")
}

// Merge returns the reasons for people: those that say the same of several lists are one, which
// names all of them.
func Merge(reasons []mirror.SyncReason) []mirror.SyncReason {
	names, place := map[mirror.SyncReason][]string{}, map[mirror.SyncReason]int{}
	merged := []mirror.SyncReason{}
	for _, r := range reasons {
		_, many := Nouns(r.Kind)
		same := mirror.SyncReason{Code: r.Code, Message: strings.Replace(r.Message, "the "+many+" ", "the %s ", 1), Remedy: r.Remedy}
		if r.Kind == "" || same.Message == r.Message { // it does not name its list, or is counted
			merged = append(merged, r)
			continue
		}
		names[same] = append(names[same], many)
		if len(names[same]) == 1 {
			place[same] = len(merged)
			merged = append(merged, r)
			continue
		}
		last := len(names[same]) - 1
		list := strings.Join(names[same][:last], ", ") + " and " + names[same][last]
		merged[place[same]] = mirror.SyncReason{Code: r.Code, Message: strings.Replace(same.Message, "%s", list, 1), Remedy: r.Remedy}
	}
	return merged
}

// proof is the sentence of a mirror in sync.
func proof(f *Facts) string {
	var users, others, fresh, repaired int64
	for i := range f.Kinds {
		k := &f.Kinds[i]
		repaired += k.Drift.RepairedSince
		switch {
		case !k.Listed || k.Walk.Refused:
			continue
		case k.Kind == clerk.KindUser:
			users = k.Tally.Rows
		default:
			others += k.Tally.Rows
		}
		fresh += k.Tally.Unverified
	}
	text := Count(users, "user", "users")
	if others > 0 {
		text += " and " + Count(others, "other row", "other rows")
	}
	switch within := strings.TrimPrefix(Roughly(f.since(f.ProvenAt())), "1 "); {
	case users+others == 0:
		text = "Clerk lists nothing and nothing is stored, compared in the last " + within
	case fresh == 0:
		text += ", all compared with Clerk in the last " + within
	default:
		text += fmt.Sprintf(": %s compared with Clerk in the last %s, %s by event since", digits(users+others-fresh), within, digits(fresh))
	}
	if repaired == 0 {
		text += "; no drift today"
	} else {
		text += "; " + Count(repaired, "drift", "drifts") + " repaired today"
	}
	if f.Overrides > 0 {
		text += "; " + Count(f.Overrides, "value is", "values are") + " overridden here"
	}
	return text
}

// Roughly returns a duration in words, rounded up.
func Roughly(d time.Duration) string {
	for _, unit := range []struct {
		below     time.Duration
		in        time.Duration
		one, many string
	}{
		{2 * time.Minute, time.Second, "second", "seconds"},
		{2 * time.Hour, time.Minute, "minute", "minutes"},
		{48 * time.Hour, time.Hour, "hour", "hours"},
		{1 << 62, 24 * time.Hour, "day", "days"},
	} {
		if d < unit.below {
			return Count(max(1, int64((d+unit.in-1)/unit.in)), unit.one, unit.many)
		}
	}
	return ""
}

// Ago returns how long ago something was, in words.
func Ago(d time.Duration) string { return Roughly(d) + " ago" }

// Count returns a number and the noun that fits it.
func Count(n int64, one, many string) string { return digits(n) + " " + either(n, one, many) }

func either(n int64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// digits groups a number by threes.
func digits(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + " " + text[i:]
	}
	return text
}

// Nouns returns what people call objects of a kind.
func Nouns(kind clerk.Kind) (one, many string) {
	switch kind {
	case clerk.KindMembership:
		return "membership", "memberships"
	case clerk.KindInvitation:
		return "invitation", "invitations"
	case clerk.KindDomain:
		return "domain", "domains"
	case clerk.KindWaitlistEntry:
		return "waitlist entry", "waitlist entries"
	default:
		one = strings.ReplaceAll(string(kind), "_", " ")
		return one, one + "s"
	}
}
