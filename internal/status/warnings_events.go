package status

import (
	"errors"
	"fmt"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/refusals"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

const (
	// maxQuiet is how long it may be that no event comes before that is a warning.
	maxQuiet = 24 * time.Hour
	// recentDeadLetter is how old the last dead letter is at most while more are expected.
	recentDeadLetter = time.Hour
	// refusedFor is for how long deliveries are refused, and none accepted, before that counts as
	// harm.
	refusedFor = time.Hour
	// refusedAmong is how long deliveries are refused before that is a warning, where others were
	// accepted before.
	refusedAmong = 15 * time.Second
)

// warnOfDatabase warns of a database that does not respond, or not fast enough.
func warnOfDatabase(s *signals) []mirror.Warning {
	var found conditional
	if s.databaseErr != nil {
		w := mirror.Warning{
			Code: "database", Severity: mirror.SeverityError,
			Message: s.database + " does not answer: webhooks are answered 503 until it does, and Clerk sends them again.",
			Remedy: s.remedy("See the log for the cause. Start the database, check the network, or correct DATABASE_URL.",
				"See the log for the cause. Start the database, check the network, or correct its address."),
		}
		if fault, ok := errors.AsType[*mirror.DatabaseError](store.Explain(s.engine, "", s.databaseErr)); ok {
			w.Message = s.database + " " + fault.Problem + ": webhooks are answered 503 until that is repaired, and Clerk sends them again."
			w.Remedy = fault.Remedy
		}
		found = append(found, w)
	}
	if f := s.writeFault; s.databaseErr == nil && f.Fault != nil {
		found = append(found, mirror.Warning{
			Code: "database_not_writable", Severity: mirror.SeverityError,
			Message: fmt.Sprintf("%s %s: nothing has been stored for %s. Webhooks are answered 503, and Clerk sends them again. "+
				"Requests are answered from what is stored.", f.Fault.Database, f.Fault.Problem, time.Since(f.Since).Round(time.Second)),
			Remedy: f.Fault.Remedy,
		})
	}
	found.when(s.storedErr != nil, mirror.Warning{
		Code: "checks_incomplete", Severity: mirror.SeverityError,
		Message: s.database + " answers, but not fast enough to check everything within a second: other warnings may be missing.",
		Remedy:  "Find out what slows the database down, or see the log for its error.",
	})
	return found
}

// warnOfReplica warns of a read replica that is not used.
func warnOfReplica(s *signals) []mirror.Warning {
	w := mirror.Warning{
		Code: "read_replica", Severity: mirror.SeverityWarning,
		Remedy: s.remedy("Check the replica and CLERKSYNC_READ_DATABASE_URL, or unset it.", "Check the replica and its address, or unset Config.ReadDB."),
	}
	switch {
	case s.replica == nil || s.databaseErr != nil:
		return nil
	case s.replica.Behind:
		w.Message = fmt.Sprintf("The read replica is %s or more behind, and lists may be %s old: the primary answers them.",
			ageText(s.replica.Lag), ageText(store.MaxReplicaLag))
		w.Remedy = "Find out what holds up its replication. It is used again as soon as it has caught up."
	case s.replica.Err != nil:
		problem := "cannot be used: " + s.replica.Err.Error()
		if fault, ok := errors.AsType[*mirror.DatabaseError](store.Explain(s.engine, "", s.replica.Err)); ok {
			problem = fault.Problem
		}
		w.Message = "The read replica " + problem + ". The primary answers lists."
	default:
		return nil
	}
	return []mirror.Warning{w}
}

// ageText returns an age in whole seconds.
func ageText(d time.Duration) string { return d.Round(time.Second).String() }

// warnOfRefusals warns of deliveries that are refused, and of a secret key that Clerk refuses.
func warnOfRefusals(s *signals) []mirror.Warning {
	var found conditional
	if c, refused := s.refused[refusals.Signature]; refused && s.refusedAlone(c) {
		found = append(found, s.signaturesRefused(c))
	}
	if c, refused := s.refused[refusals.SecretKey]; refused {
		found = append(found, s.secretKeyRefused(c))
	}
	return found
}

// refusedAlone reports whether deliveries are refused and none is accepted in between. Where
// Clerk's are accepted every few seconds, those that are refused are someone else's.
func (s *signals) refusedAlone(c refusals.Count) bool {
	return s.neverAccepted() || s.now.Sub(c.Since.Time()) >= refusedAmong
}

func (s *signals) neverAccepted() bool { return s.stored != nil && s.stored.Head.LastReceivedAt == 0 }

// signaturesRefused is the warning about deliveries that no secret signed, with the probable cause.
func (s *signals) signaturesRefused(c refusals.Count) mirror.Warning {
	w := mirror.Warning{
		Code: "webhook_signatures_refused", Severity: s.refusedSeverity(c),
		Message: countText(c, "delivery", "deliveries") + ": no configured secret made the signature. None was accepted after that. " +
			"If they come from Clerk, every event is lost. ",
		Remedy: s.remedy("Copy the endpoint's signing secret from the Clerk dashboard to CLERK_WEBHOOK_SIGNING_SECRET, restart, and send a test event: ",
			"Copy the endpoint's signing secret from the Clerk dashboard to Config.WebhookSecrets, restart, and send a test event: ") +
			"the first delivery that is accepted ends this warning. If Clerk's dashboard shows no failed deliveries, someone else forges them.",
	}
	switch {
	case s.neverAccepted():
		w.Message += "None was ever accepted: the secret is probably that of another endpoint, or of another instance. Development and production " +
			"have endpoints of their own."
	case s.stored != nil:
		w.Message += "Deliveries were accepted until " + second(s.stored.Head.LastReceivedAt) + ": either the secret was changed here or at Clerk since then, " +
			"or someone forges them."
	}
	return w
}

// secretKeyRefused is the warning about a secret key that Clerk does not accept.
func (s *signals) secretKeyRefused(c refusals.Count) mirror.Warning {
	cause := "It was probably deleted at Clerk, or not copied as a whole."
	if s.KeysOfTwoKinds {
		cause = "It is probably that of another instance: of the secret key and the publishable key one is for production and the other for development."
	}
	return mirror.Warning{
		Code: "secret_key_refused", Severity: mirror.SeverityError,
		Message: "Clerk does not accept the secret key: " + countText(c, "request", "requests") + ". " + cause + " Nothing can be read from Clerk: " +
			"changes that sent no webhook are not repaired, and users who are not mirrored yet cannot sign in.",
		Remedy: "Copy the key again from the API keys page of the Clerk dashboard to " + s.remedy("CLERK_SECRET_KEY", "Config.SecretKey") + ", and restart.",
	}
}

// countText says how many were refused, and since when.
func countText(c refusals.Count, one, many string) string {
	if c.Count == 1 {
		return "1 " + one + " was refused at " + second(c.Since)
	}
	return fmt.Sprintf("%d %s were refused since %s (the last at %s)", c.Count, many, second(c.Since), second(c.Last))
}

// second returns a time for people, to the second.
func second(t clerk.Time) string { return t.Time().UTC().Format("2006-01-02 15:04:05Z") }

// refusedSeverity distinguishes a wrong configuration, which loses every event, from what a
// stranger can cause. Anyone can send deliveries that are refused, but no one can keep Clerk's
// deliveries from being accepted, which ends the warning. So refused deliveries degrade the
// health at once only where no event has ever come, and else after an hour.
func (s *signals) refusedSeverity(c refusals.Count) mirror.Severity {
	if s.neverAccepted() || s.now.Sub(c.Since.Time()) >= refusedFor {
		return mirror.SeverityError
	}
	return mirror.SeverityWarning
}

// warnOfSilence warns that no events come. A new database and a process that has just started do
// not warn.
func warnOfSilence(s *signals) []mirror.Warning {
	if s.stored == nil || !s.WebhookSecret {
		return nil
	}
	last := s.stored.Head.LastReceivedAt
	young := s.now.Sub(s.stored.Born.Time()) < maxQuiet || s.now.Sub(s.listeningSince) < maxQuiet
	if young || last != 0 && s.now.Sub(last.Time()) <= maxQuiet {
		return nil
	}
	message := "No event has come for 24 hours."
	if last == 0 {
		message = "No event has ever come."
	}
	return []mirror.Warning{{
		Code: "silence", Severity: mirror.SeverityWarning, Message: message + " Unless nothing happens at Clerk, events are lost.",
		Remedy: "Check the endpoint in the Clerk dashboard: it may be disabled or point elsewhere.",
	}}
}

// warnOfDeadLetters warns of dead letters, more severely while new ones come.
func warnOfDeadLetters(s *signals) []mirror.Warning {
	if s.stored == nil || s.stored.DeadLetters == 0 {
		return nil
	}
	remedy := s.remedy("See clerksync deliveries list --state dead. After a fix: clerksync deliveries replay --state dead. "+
		"What can never be applied: clerksync deliveries dismiss.",
		"List them with m.Deliveries(). After a fix, replay them; dismiss what can never be applied.")
	if s.now.Sub(s.stored.LastDead.Time()) < recentDeadLetter {
		return []mirror.Warning{{
			Code: "dead_letters", Severity: mirror.SeverityError,
			Message: "Some events could not be applied, the last less than an hour ago: more may follow.", Remedy: remedy,
		}}
	}
	return []mirror.Warning{{
		Code: "dead_letters", Severity: mirror.SeverityWarning, Message: "Some events could not be applied.", Remedy: remedy,
	}}
}

// warnOfRoles warns of roles that are not on the ladder.
func warnOfRoles(s *signals) []mirror.Warning {
	if s.stored == nil || s.stored.RolesRejected == 0 {
		return nil
	}
	return []mirror.Warning{{
		Code: "roles_rejected", Severity: mirror.SeverityWarning,
		Message: "Some users' metadata names a role that is not configured; they have the lowest role.",
		Remedy:  "Correct public_metadata.role, or " + s.remedy("CLERKSYNC_ROLES.", "Config.Roles."),
	}}
}
