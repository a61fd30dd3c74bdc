package mirror

import (
	"time"

	"github.com/clerksync/clerksync/clerk"
)

// JobAction is what a job does to each object.
type JobAction string

// The actions of jobs.
const (
	// JobReplayDeliveries applies stored deliveries again.
	JobReplayDeliveries JobAction = "replay_deliveries"
	// JobEraseUsers deletes users at Clerk and erases their personal data here.
	JobEraseUsers JobAction = "erase_users"
	// JobRevokeSessions revokes sessions, or all sessions of users.
	JobRevokeSessions JobAction = "revoke_sessions"
	// JobChangeRole gives users a role of the ladder.
	JobChangeRole JobAction = "change_role"
	// JobReconcile compares the mirror with Clerk and repairs what differs.
	JobReconcile JobAction = "reconcile"
	// JobBackfill reads everything that Clerk has.
	JobBackfill JobAction = "backfill"
)

// JobActions returns the actions of jobs.
func JobActions() []JobAction {
	return []JobAction{JobReplayDeliveries, JobEraseUsers, JobRevokeSessions, JobChangeRole, JobReconcile, JobBackfill}
}

// ReadsClerk reports whether the action reads lists at Clerk, and not a selection of objects.
func (a JobAction) ReadsClerk() bool { return a == JobReconcile || a == JobBackfill }

// JobState is how far a job is.
type JobState string

// The states of a job.
const (
	JobPlanned    JobState = "planned"    // nothing was done yet: an operator looks at the plan
	JobWaiting    JobState = "waiting"    // it was started, and a process will take it
	JobRunning    JobState = "running"    // a process works on it
	JobCancelling JobState = "cancelling" // it ends after the object that is in progress
	JobCancelled  JobState = "cancelled"  // it was ended before everything was done
	JobDone       JobState = "done"       // everything was done, or is listed as failed or skipped
	JobFailed     JobState = "failed"     // it cannot go on; the error says why
)

// Ended reports whether a job in this state does nothing any more.
func (s JobState) Ended() bool { return s == JobCancelled || s == JobDone || s == JobFailed }

// JobSelection selects the objects that a job works on. The names of its JSON members are those of
// the query parameters of the lists. Objects must have all that is asked for.
type JobSelection struct {
	// All has to be set where nothing else is, for an action that changes something at Clerk.
	All bool `json:"all,omitempty"`
	// IDs are the ids of the objects, at most 500. Nothing else can be combined with them.
	IDs []string `json:"ids,omitempty"`

	// Search selects users as [UserFilter].Search does.
	Search string `json:"q,omitempty"`
	// Role selects users with this role.
	Role string `json:"role,omitempty"`
	// Organization selects the members of an organization by its Clerk id, or the deliveries about
	// the organization and what belongs to it.
	Organization string `json:"organization,omitempty"`
	// Active selects users who are active, or who are not; nil selects both.
	Active *bool `json:"active,omitempty"`

	// User selects the sessions of a user by the Clerk id.
	User string `json:"user,omitempty"`
	// Status selects sessions with this status.
	Status SessionStatus `json:"status,omitempty"`

	// State selects deliveries in this state. Without it, quarantined and dismissed ones are left
	// out.
	State DeliveryState `json:"state,omitempty"`
	// Type selects an event type, or with a star at its end all that begin so: "user.*".
	Type string `json:"type,omitempty"`
	// Reason selects deliveries that were not applied for this reason.
	Reason string `json:"reason,omitempty"`
	// Since selects deliveries that were received at this time or later.
	Since time.Time `json:"since,omitzero"`
	// Until selects deliveries that were received before this time.
	Until time.Time `json:"until,omitzero"`
	// Subject selects deliveries about an object, by its Clerk id or as "kind:id".
	Subject string `json:"subject,omitempty"`
	// Text selects deliveries whose body has this text.
	Text string `json:"text,omitempty"`
}

// JobRequest says what a job is to do.
type JobRequest struct {
	// Action is what is done to each object.
	Action JobAction `json:"action"`
	// Filter selects the objects. Actions that read lists at Clerk take none.
	Filter JobSelection `json:"filter,omitzero"`
	// Role is the role that users get, for [JobChangeRole] alone.
	Role string `json:"role,omitempty"`
	// Kinds are the kinds that [JobReconcile] compares; none means all that Clerk lists.
	Kinds []clerk.Kind `json:"kinds,omitempty"`
	// AllowMassDelete is that of [ReconcileOptions], for [JobReconcile] alone.
	AllowMassDelete bool `json:"allow_mass_delete,omitempty"`
}

// Job is work on many objects that goes on in the background, whichever process runs it. It
// survives a restart of the process: objects that were in progress are done again, which changes
// nothing where it was done already.
type Job struct {
	// ID is job_… and orders jobs by time.
	ID string `json:"id"`
	// Action is what is done to each object.
	Action JobAction `json:"action"`
	// State is how far the job is.
	State JobState `json:"state"`
	// Filter selects the objects. Those that came after the plan was made are not among them, and
	// those that no longer match when it is their turn are left out.
	Filter JobSelection `json:"filter"`
	// Role is the role that users get, empty for other actions.
	Role string `json:"role"`
	// Kinds are the kinds that are compared with Clerk, empty for all and for other actions.
	Kinds []clerk.Kind `json:"kinds"`
	// AllowMassDelete is that of [ReconcileOptions].
	AllowMassDelete bool `json:"allow_mass_delete"`
	// Plan says what the job would do, as of CreatedAt.
	Plan JobPlan `json:"plan"`
	// Done is how many objects were worked on successfully.
	Done int64 `json:"done"`
	// Failed is how many objects could not be worked on.
	Failed int64 `json:"failed"`
	// Skipped is how many objects there was nothing to do for.
	Skipped int64 `json:"skipped"`
	// Rate is how many objects a second were worked on lately, 0 while the job does not run.
	Rate float64 `json:"rate"`
	// Progress is how far each kind is, for the actions that read lists at Clerk.
	Progress []JobProgress `json:"progress"`
	// Problem says what the job waits for, such as a Clerk that does not answer, else empty.
	Problem string `json:"problem"`
	// Error says why the job failed, else empty.
	Error string `json:"error"`
	// CreatedAt is when the job was planned.
	CreatedAt time.Time `json:"created_at"`
	// CreatedBy is who planned it.
	CreatedBy string `json:"created_by"`
	// ExpiresAt is until when the plan can be started.
	ExpiresAt time.Time `json:"expires_at"`
	// StartedAt is when the job was started last, zero for a plan.
	StartedAt time.Time `json:"started_at"`
	// StartedBy is who started it last.
	StartedBy string `json:"started_by"`
	// CancelledBy is who cancelled it, empty unless it was.
	CancelledBy string `json:"cancelled_by"`
	// UpdatedAt is when its progress was stored last.
	UpdatedAt time.Time `json:"updated_at"`
	// EndedAt is when it ended, zero before.
	EndedAt time.Time `json:"ended_at"`
}

// MarshalJSON writes the fields, and null for a zero time.
func (j Job) MarshalJSON() ([]byte, error) { return encode(j) }

// Resumable reports whether the job can be started again, to go on where it ended.
func (j *Job) Resumable() bool {
	return !j.StartedAt.IsZero() && (j.State == JobFailed || j.State == JobCancelled)
}

// JobPlan says what a job would do.
type JobPlan struct {
	// Matches is how many objects the filter selects. For actions that read lists at Clerk it is 0.
	Matches int64 `json:"matches"`
	// AtLeast reports that there are more: they were not counted further.
	AtLeast bool `json:"at_least"`
	// Sample are some of the objects.
	Sample []JobItem `json:"sample"`
}

// JobItem is one of the objects of a plan, and what would change.
type JobItem struct {
	// ID is the id of the object.
	ID string `json:"id"`
	// Label is a text by which people know it: the e-mail address or the name of the user, of a
	// session too, or the type of an event. It is looked up when the plan is read. It is the id of
	// the user, or empty, if the user does not exist any more.
	Label string `json:"label"`
	// Was is how it was when the plan was made, such as a role.
	Was string `json:"was"`
	// Becomes is how it would be.
	Becomes string `json:"becomes"`
}

// JobProgress is how far a job is with a kind.
type JobProgress struct {
	// Kind is the kind.
	Kind clerk.Kind `json:"kind"`
	// Rows is how many objects were read.
	Rows int64 `json:"rows"`
	// Total is how many there are by Clerk's count, -1 where Clerk gives none.
	Total int64 `json:"total"`
	// Done reports that the kind was read to its end.
	Done bool `json:"done"`
	// Found is how many rows differed, known once the job has ended.
	Found int64 `json:"drift_found"`
	// Repaired is how many of them were repaired.
	Repaired int64 `json:"drift_repaired"`
	// Reason says why the kind could not be read whole, else empty.
	Reason string `json:"reason"`
}

// JobFailure is an object that a job could not work on.
type JobFailure struct {
	// JobID is the id of the job.
	JobID string `json:"job_id"`
	// ObjectID is the id of the object.
	ObjectID string `json:"object_id"`
	// Reason says why.
	Reason string `json:"reason"`
	// At is when that was.
	At time.Time `json:"at"`
}

// MarshalJSON writes the fields, and null for a zero time.
func (f JobFailure) MarshalJSON() ([]byte, error) { return encode(f) }

// JobFilter selects jobs for a list. The zero value selects all.
type JobFilter struct {
	// State selects jobs in this state.
	State JobState
	// Action selects jobs with this action.
	Action JobAction
	// After is where the page begins: [Page.Next] of the page before.
	After Cursor
	// Limit is the size of a page: 50 for 0, at most 500.
	Limit int
}

// JobFailureFilter selects a page of the failures of a job.
type JobFailureFilter struct {
	// After is where the page begins: [Page.Next] of the page before.
	After Cursor
	// Limit is the size of a page: 50 for 0, at most 500.
	Limit int
}
