package mirror

import (
	"time"

	"github.com/clerksync/clerksync/clerk"
)

// Health is the state of a mirror. It holds no secret, no count of rows and no name of a user.
type Health struct {
	// Status is "degraded" while a warning has the severity error, else "ok".
	Status string `json:"status"`
	// Database is the state of the database.
	Database DatabaseHealth `json:"database"`
	// ReadReplica is the state of the read replica, nil if there is none.
	ReadReplica *ReplicaHealth `json:"read_replica,omitempty"`
	// Warnings are what wants attention, the worst first.
	Warnings []Warning `json:"warnings"`
}

// DatabaseHealth is the state of a database.
type DatabaseHealth struct {
	// Engine is the database engine.
	Engine Engine `json:"engine"`
	// OK reports that the database answers.
	OK bool `json:"ok"`
}

// ReplicaHealth is the state of a read replica.
type ReplicaHealth struct {
	// Used reports that lists are read from it. Else the primary answers them.
	Used bool `json:"used"`
	// LagSeconds is how old lists from it may be, nil if that is not known.
	LagSeconds *float64 `json:"lag_seconds"`
}

// Severity is how much a warning matters now.
type Severity string

// The severities, the worst first.
const (
	SeverityError   Severity = "error"   // it does harm now
	SeverityWarning Severity = "warning" // it needs attention, before it does harm
	SeverityInfo    Severity = "info"    // a standing choice, shown for information
)

// Warning is something that wants an operator's attention.
type Warning struct {
	// Code is stable; docs/warnings.md lists the codes.
	Code string `json:"code"`
	// Severity is how much it matters.
	Severity Severity `json:"severity"`
	// Message says what happened, and why it matters.
	Message string `json:"message"`
	// Remedy says what to do.
	Remedy string `json:"remedy"`
}

// FindingSeverity is how bad a finding is.
type FindingSeverity string

// The severities of findings.
const (
	FindingOK      FindingSeverity = "ok"
	FindingInfo    FindingSeverity = "info"    // a standing choice, shown for information
	FindingWarning FindingSeverity = "warning" // it works, and wants attention
	FindingFailure FindingSeverity = "failure" // it does not work
)

// Finding is what one check of clerksync.Diagnose found. It holds no secret and no personal data.
type Finding struct {
	// Check is the name of the check.
	Check string `json:"check"`
	// Severity is how bad it is.
	Severity FindingSeverity `json:"severity"`
	// Text says what was found.
	Text string `json:"finding"`
	// Remedy says what to do, empty where there is nothing to do.
	Remedy string `json:"remedy,omitempty"`
}

// Counts are the figures of a mirror. They are for operators: they show the size of a business.
type Counts struct {
	// CountedAt is when the rows were counted.
	CountedAt time.Time `json:"counted_at"`
	// Live is how many rows are live, by kind.
	Live map[clerk.Kind]int64 `json:"live"`
	// Deliveries is how many deliveries were not simply applied, by state.
	Deliveries map[DeliveryState]int64 `json:"deliveries"`
	// VerifyQueue is how many rows wait to be read again from Clerk.
	VerifyQueue int64 `json:"verify_queue"`
	// RolesRejected is how many users have a role in their metadata that is not on the ladder.
	RolesRejected int64 `json:"roles_rejected"`
	// LastEventAt is when the last event was received.
	LastEventAt time.Time `json:"last_event_at"`
	// Instances are the Clerk instances whose events were received, the first seen first.
	Instances []string `json:"instances"`
	// Denials is how many requests this process denied that the token alone would have allowed, by
	// code.
	Denials map[string]int64 `json:"denials"`
	// AuditDropped is how many audit entries of this process could not be written.
	AuditDropped int64 `json:"audit_dropped"`
	// Purged is what this process removed because it was older than its retention.
	Purged Purged `json:"purged"`
}

// Purged counts what was removed because it was older than its retention.
type Purged struct {
	// Bodies were removed from deliveries that were kept.
	Bodies int64 `json:"bodies"`
	// Deliveries were removed with their message ids.
	Deliveries int64 `json:"deliveries"`
	// Changes are entries of the change feed.
	Changes int64 `json:"changes"`
	// Audit are entries of the audit.
	Audit int64 `json:"audit"`
	// Drift are rows of the drift report.
	Drift int64 `json:"drift"`
}

// Add returns the sum of two counts.
func (p Purged) Add(q Purged) Purged {
	return Purged{p.Bodies + q.Bodies, p.Deliveries + q.Deliveries, p.Changes + q.Changes, p.Audit + q.Audit, p.Drift + q.Drift}
}
