package clerksync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

const (
	// silence is how long no event is no cause for worry.
	silence = 24 * time.Hour
	// stillDying is how young a dead letter is that says that more are to come.
	stillDying = time.Hour
	// refusedFor is how long deliveries are refused, and none accepted, before that is taken for harm.
	refusedFor = time.Hour
)

// warnOfDatabase warns of a database that does not answer, or not fast enough.
func warnOfDatabase(_ context.Context, f *facts) []mirror.Warning {
	var found chosen
	if f.databaseErr != nil {
		w := warning(
			"database", mirror.SeverityError, f.database+" does not answer: webhooks are answered 503 until it does, and Clerk sends them again.",
			"See the log for the cause. Start the database, check the network, or correct DATABASE_URL.",
		)
		if fault, ok := errors.AsType[*mirror.DatabaseError](store.Explain(f.engine, "", f.databaseErr)); ok {
			w.Message = f.database + " " + fault.Problem + ": webhooks are answered 503 until that is mended, and Clerk sends them again."
			w.Remedy = fault.Remedy
		}
		found = append(found, w)
	}
	found.when(f.storedErr != nil, warning(
		"checks_incomplete", mirror.SeverityError, f.database+" answers, but not fast enough to check everything within a second: other warnings may be missing.",
		"Look for what slows the database down, or for its error in the log.",
	))
	return found
}

// warnOfRefusals warns of deliveries that are refused, and of a secret key that Clerk refuses.
func warnOfRefusals(_ context.Context, f *facts) []mirror.Warning {
	var found chosen
	if i, refused := f.refused[refusedSignature]; refused {
		found = append(found, warning(
			"webhook_signatures_refused", f.refusedSeverity(i),
			i.text("delivery", "deliveries")+": no configured secret made the signature. None was accepted after that. "+
				"If they are Clerk's, every event is lost.",
			"Copy the endpoint's signing secret from the Clerk dashboard to CLERK_WEBHOOK_SIGNING_SECRET, restart, and send a test event: "+
				"the first delivery that is accepted ends this warning. If Clerk's dashboard shows no failed deliveries, someone else forges them.",
		))
	}
	if i, refused := f.refused[refusedClock]; refused {
		found = append(found, warning(
			"clock_skew", f.refusedSeverity(i),
			i.text("well-signed delivery", "well-signed deliveries")+" for the time of signing. None was accepted after that. "+
				"If this clock is wrong, every event is lost.",
			"Set this server's clock by NTP. If it is right, someone sent an old delivery again.",
		))
	}
	if i, refused := f.refused[refusedSecretKey]; refused {
		found = append(found, warning(
			"secret_key_refused", mirror.SeverityError,
			"Clerk does not accept the secret key: "+i.text("request", "requests")+". Nothing can be read from Clerk: "+
				"what an event did not tell stays unrepaired, and users who are not mirrored yet cannot sign in.",
			"Copy the key again from the API keys page of the Clerk dashboard to CLERK_SECRET_KEY, and restart.",
		))
	}
	return found
}

// text counts and dates refusals.
func (i refusal) text(one, many string) string {
	if i.Count == 1 {
		return "1 " + one + " was refused at " + second(i.Since)
	}
	return fmt.Sprintf("%d %s were refused since %s (the last at %s)", i.Count, many, second(i.Since), second(i.Last))
}

// second is a time for people, to the second.
func second(t clerk.Time) string { return t.Time().UTC().Format("2006-01-02 15:04:05Z") }

// refusedSeverity distinguishes a wrong configuration, which loses every event, from what a stranger can cause. Anyone can send
// deliveries that are refused, but not keep Clerk's from being accepted, which ends the warning. So the state is not
// degraded by them at once where events have come before, but only after an hour without any.
func (f *facts) refusedSeverity(i refusal) mirror.Severity {
	neverAccepted := f.stored != nil && f.stored.head.LastReceivedAt == 0
	if neverAccepted || f.now.Sub(i.Since.Time()) >= refusedFor {
		return mirror.SeverityError
	}
	return mirror.SeverityWarning
}

// warnOfSilence warns that no events come. A new database and a server that has just started do not warn.
func warnOfSilence(_ context.Context, f *facts) []mirror.Warning {
	if f.stored == nil || !f.takesWebhooks {
		return nil
	}
	last := f.stored.head.LastReceivedAt
	young := f.now.Sub(f.stored.born.Time()) < silence || f.now.Sub(f.listeningSince) < silence
	if young || last != 0 && f.now.Sub(last.Time()) <= silence {
		return nil
	}
	message := "No event has come for 24 hours."
	if last == 0 {
		message = "No event has ever come."
	}
	return []mirror.Warning{warning(
		"silence", mirror.SeverityWarning, message+" Unless nothing happens at Clerk, events are lost.",
		"Check the endpoint in the Clerk dashboard: it may be disabled or point elsewhere.",
	)}
}

// warnOfDeadLetters warns of dead letters, more severely while new ones come.
func warnOfDeadLetters(_ context.Context, f *facts) []mirror.Warning {
	if f.stored == nil || f.stored.deliveries[mirror.DeliveryDead] == 0 {
		return nil
	}
	const remedy = "See clerksync deliveries list --state dead. After a fix: clerksync replay --state dead. " +
		"What can never be applied: clerksync deliveries dismiss."
	if f.now.Sub(f.stored.lastDead.Time()) < stillDying {
		return []mirror.Warning{warning(
			"dead_letters", mirror.SeverityError, "Some events could not be applied, the last less than an hour ago: more may follow.", remedy,
		)}
	}
	return []mirror.Warning{warning("dead_letters", mirror.SeverityWarning, "Some events could not be applied.", remedy)}
}

// warnOfRoles warns of roles that are not on the ladder.
func warnOfRoles(_ context.Context, f *facts) []mirror.Warning {
	if f.stored == nil || f.stored.rolesRejected == 0 {
		return nil
	}
	return []mirror.Warning{warning(
		"roles_rejected", mirror.SeverityWarning, "Some users' metadata names a role that is not configured; they have the lowest.",
		"Correct public_metadata.role, or CLERKSYNC_ROLES.",
	)}
}
