package mirror

import (
	"errors"
	"time"
)

// Errors of backups, for errors.Is.
var (
	// ErrFileExists means that there is a file where a backup or a restored database was to be.
	ErrFileExists = errors.New("the file exists")
	// ErrDamaged means that a database file has faults: it lost pages, or was not copied whole.
	ErrDamaged = errors.New("the database file is damaged")
	// ErrDatabaseInUse means that another process has the database file open.
	ErrDatabaseInUse = errors.New("another process has the database open")
	// ErrNoRoom means that the disk has no room for a copy.
	ErrNoRoom = errors.New("the disk has no room for the copy")
)

// Backup describes the copy of a mirror's database in an SQLite file.
type Backup struct {
	// File is the path of the file.
	File string `json:"file"`
	// Bytes is its size.
	Bytes int64 `json:"bytes"`
	// TakenAt is when clerksync made the copy. It is zero for a copy that was made by other means.
	TakenAt time.Time `json:"taken_at"`
	// AliveAt is the last sign of life, in the file, of a process that kept the mirror up to date;
	// zero if there was none.
	AliveAt time.Time `json:"alive_at"`
	// ReceivedAt is when the last webhook in the file was received; zero if there was none.
	ReceivedAt time.Time `json:"received_at"`
	// ChangedAt is when the last change in the change feed was stored; zero if there was none.
	ChangedAt time.Time `json:"changed_at"`
	// Schema is the number of the schema, 1 or more.
	Schema int `json:"schema"`
	// SchemaProblem says why this version of clerksync cannot read the file as it is, such as an
	// older schema that it upgrades; empty if it can.
	SchemaProblem string `json:"schema_problem,omitempty"`
	// Upgradable reports whether this version reads the file, perhaps after it upgraded the schema.
	Upgradable bool `json:"upgradable"`
	// Instance is the Clerk instance that is mirrored (ins_…), empty if it was not known.
	Instance string `json:"instance"`
	// Rows counts what the file holds: mirrored rows by kind, "deliveries", "changes", "audit",
	// "consumers" and "erasures".
	Rows map[string]int64 `json:"rows"`
}

// MarshalJSON writes the fields, and null for a zero time.
func (b Backup) MarshalJSON() ([]byte, error) { return encode(b) }

// Mirrored returns the number of mirrored rows of all kinds.
func (b Backup) Mirrored() (n int64) {
	for name, rows := range b.Rows {
		switch name {
		case "deliveries", "changes", "audit", "consumers", "erasures":
		default:
			n += rows
		}
	}
	return n
}

// BackupLoss is what a database holds that a backup of it lacks, and that Clerk cannot bring back.
type BackupLoss struct {
	// Related reports whether the file is a copy of the database, or of an older state of it. If it
	// is not, the numbers are those of everything in the database.
	Related bool `json:"related"`
	// Instance is the Clerk instance that the database mirrors, empty if it is not known.
	Instance string `json:"instance"`
	// Deliveries, Changes and Audit count webhooks, changes of the feed and entries of the audit.
	Deliveries int64 `json:"deliveries"`
	Changes    int64 `json:"changes"`
	Audit      int64 `json:"audit"`
	// Erased lists the ids of users who were erased after the backup was taken. They must be erased
	// again after a restore.
	Erased []string `json:"erased"`
}
