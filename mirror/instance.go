package mirror

// Instance is the Clerk instance that a mirror mirrors, and what the mirror can do with it.
type Instance struct {
	// ID is Clerk's id, ins_…, empty while it is not known.
	ID string `json:"id"`
	// Domain is the host of the instance's Frontend API, such as clerk.example.com, empty if it is
	// not configured.
	Domain string `json:"domain"`
	// Production reports whether the configured keys are those of a production instance.
	Production bool `json:"production"`
	// Roles is the ladder of roles that is in force, lowest first.
	Roles []string `json:"roles"`
	// SecretKey reports whether a secret key is configured, so that the mirror can read Clerk.
	SecretKey bool `json:"secret_key"`
	// ReadOnly reports whether the database was opened read-only.
	ReadOnly bool `json:"read_only"`
}
