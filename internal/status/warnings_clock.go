package status

import (
	"fmt"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/refusals"
	"github.com/clerksync/clerksync/mirror"
)

// clockHarm is the difference from Clerk's clock from which on webhooks are refused, or soon are.
const clockHarm = 4 * time.Minute

// warnOfClock warns of a clock of this machine that is wrong, or of a database's that is.
func warnOfClock(s *signals) []mirror.Warning {
	var texts []string
	w := mirror.Warning{
		Code: "clock_skew", Severity: mirror.SeverityWarning,
		Remedy: "Set this server's clock by NTP. If it is right, someone sent an old delivery again.",
	}
	if c, refused := s.refused[refusals.Clock]; refused {
		w.Severity = s.refusedSeverity(c)
		texts = append(texts, countText(c, "well-signed delivery", "well-signed deliveries")+" for the time of signing. None was accepted after that. "+
			"If this clock is wrong, every event is lost.")
	}
	if s.stored != nil && s.stored.AheadOfDatabase != 0 {
		w.Remedy = "Set the clocks of both machines by NTP."
		texts = append(texts, "This server's clock is "+direction(s.stored.AheadOfDatabase, "the database's")+
			": one of the two is wrong, and ages and what is due with it.")
	}
	if ahead := s.aheadOfClerk; ahead != 0 {
		if ahead.Abs() >= clockHarm {
			w.Severity = mirror.SeverityError
		}
		harm := "refused as expired"
		if ahead < 0 {
			harm = "refused as not valid yet"
		}
		w.Remedy = "Set this server's clock by NTP."
		texts = append(texts, "This server's clock is "+direction(ahead, "Clerk's")+": session tokens are "+harm+
			", and from five minutes on webhooks are refused too.")
	}
	if len(texts) == 0 {
		return nil
	}
	w.Message = strings.Join(texts, " ")
	return []mirror.Warning{w}
}

// direction says how far a clock is ahead of another one, or behind it.
func direction(ahead time.Duration, other string) string {
	if ahead < 0 {
		return fmt.Sprintf("%s behind %s", -ahead, other)
	}
	return fmt.Sprintf("%s ahead of %s", ahead, other)
}
