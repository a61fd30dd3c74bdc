package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

func databaseSettings() []Setting { return slices.Concat(databaseAddresses(), sqliteFiles()) }

// databaseAddresses are the settings of where the database is.
func databaseAddresses() []Setting {
	return []Setting{{ //nolint:gosec // a form, without a password
		Name: databaseName, Flag: "--database-url", Default: "sqlite:clerksync.db",
		Value:   "sqlite:///absolute/app.db, sqlite:relative.db, sqlite::memory: or postgres://user:password@host/database",
		Summary: "The database that stores the mirror.",
		When:    "Set it in production: the default is a file in the working folder.",
		noun:    "database URL", why: "Without a database nothing can be stored.",
		binding: bind(func(c *Config) *Database { return &c.Database }, parseDatabase),
	}, { //nolint:gosec // a form, without a password
		Name: readDatabaseName, Unset: "lists are read from DATABASE_URL",
		Value:   "postgres://user:password@host/database",
		Example: "postgres://clerksync@replica.example.com/clerksync",
		Summary: "A read replica of the Postgres in `DATABASE_URL`. `clerksync serve` reads the lists of the console and of the API from it, " +
			"unless it is more than 5 seconds behind.",
		When: "Where lists and the console are a load that the primary should not have.",
		noun: "URL of the read replica", why: "Lists are read from there.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *Database { return &c.ReadDatabase }, parseReadDatabase),
	}, {
		Name: "CLERKSYNC_DATABASE_WAIT", Default: "1m",
		Value: "a duration, up to 1h; 0s fails at once",
		Summary: "How long `clerksync serve` and `clerksync migrate` wait at start for a Postgres that cannot be reached or is starting. " +
			"A wrong password or name fails at once.",
		When: "Longer where the database takes longer to start, shorter where something else starts the server again.",
		noun: "wait for the database", why: "The server would wait too long, or not long enough.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *time.Duration { return &c.DatabaseWait }, durationBetween(0, time.Hour)),
	}}
}

// sqliteFiles are the settings of SQLite files.
func sqliteFiles() []Setting {
	return []Setting{{
		Name: synchronousName, Default: "FULL",
		Value:   "FULL or NORMAL",
		Summary: "How SQLite writes to the disk. NORMAL is faster, but a power cut can lose events that were already acknowledged.",
		When:    "Keep FULL, unless losing the last events is acceptable because reconcile reads them again.",
		noun:    "synchronous mode", why: "It decides whether acknowledged events survive a power cut.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.SQLiteSynchronous }, oneOf("FULL", "NORMAL")),
	}, {
		Name: "CLERKSYNC_SQLITE_CHECKPOINTS", Default: "own",
		Value:   "own or external",
		Summary: "Who moves SQLite's write-ahead log into the file. With external, clerksync never does, and the log grows until another process does.",
		When:    "external, where Litestream replicates the file.",
		noun:    "way of checkpoints", why: "A log that no process moves into the file grows without bound.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.SQLiteCheckpoints }, oneOf("own", "external")),
	}, {
		Name:    "CLERKSYNC_SQLITE_MODE",
		Unset:   "new files are 0600, and others keep their mode",
		Value:   "0600 (the owner alone), 0640 (the group may read) or 0660 (the group may write)",
		Example: "0640",
		Summary: "The mode of the SQLite file, and of the files that SQLite makes next to it.",
		When:    "Where an application under another user joins the tables: see [operations.md](operations.md#can-another-user-read-the-sqlite-file).",
		noun:    "file mode", why: "The file holds personal data, so that no mode lets every user of the machine read it.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *FileMode { return &c.SQLiteMode }, parseFileMode),
	}, {
		Name:    "CLERKSYNC_SQLITE_GROUP",
		Unset:   "the group of the process, or that of the folder if it has the set-group-ID bit",
		Value:   "the name or the number of a group of which the server's user is a member",
		Example: "app",
		Summary: "The group of the SQLite file, and of the files that SQLite makes next to it.",
		When:    "Together with CLERKSYNC_SQLITE_MODE.",
		noun:    "file group", why: "The members of the group may use the file as CLERKSYNC_SQLITE_MODE says.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.SQLiteGroup }, matching("NAME or NUMBER", `^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,63}$`)),
	}, {
		Name: "CLERKSYNC_UPGRADE_COPIES", Default: "2",
		Value: "a whole number from 0 to 20; 0 makes no copies",
		Summary: "How many copies of an SQLite file are kept that were made before a newer version upgraded its schema. They are next to the file, " +
			"and the log names them.",
		When: "0, where the file is backed up before each upgrade anyway, or where the disk has no room for a second one.",
		noun: "number of copies", why: "A copy is the way back to the older version.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *Copies { return &c.UpgradeCopies }, parseCopies),
	}}
}

// FileMode is the mode of files, written in octal.
type FileMode uint32

// String returns the mode as it is written.
func (m FileMode) String() string {
	if m == 0 {
		return ""
	}
	return fmt.Sprintf("%04o", uint32(m))
}

// parseFileMode accepts only modes that keep other users of the machine out.
func parseFileMode(text string) (FileMode, error) {
	switch text {
	case "0600", "600":
		return 0o600, nil
	case "0640", "640":
		return 0o640, nil
	case "0660", "660":
		return 0o660, nil
	}
	if n, err := strconv.ParseUint(text, 8, 16); err == nil && n&0o007 != 0 {
		return 0, valueError{"lets every user of the machine use personal data", "Use 0640 or 0660, and CLERKSYNC_SQLITE_GROUP."}
	}
	return 0, errors.New("is none of 0600, 0640 and 0660")
}

// Copies is a number of copies, of which 0 is one as well.
type Copies int

func parseCopies(text string) (Copies, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 20 {
		return 0, errors.New("is not a whole number from 0 to 20")
	}
	return Copies(n), nil
}

func clerkSettings() []Setting {
	return []Setting{{
		Name: secretKeyName, Secret: true,
		Unset:   "no backfill, no reconcile, and keys come from the Frontend API",
		Value:   "sk_test_… or sk_live_…",
		Summary: "The secret key of the Clerk instance. It is used to read from the Backend API, and for the changes that operators ask for.",
		When:    "Set it, unless webhooks are the only source of the mirror.",
		noun:    "secret key", why: "Without it nothing can be read from the Backend API.",
		remedy:  "Copy it from the API keys page in the Clerk dashboard; it starts with sk_.",
		binding: bind(func(c *Config) *string { return &c.SecretKey }, parseSecretKey),
	}, {
		Name: webhookName, Aliases: []string{"CLERK_WEBHOOK_SECRET"}, Secret: true,
		Unset:   "the webhook route answers 500",
		Value:   "whsec_…, or a list of such secrets",
		Summary: "The signing secret of the webhook endpoint. Any secret of the list may match.",
		When:    "Set it. List the old and the new secret while you rotate it.",
		noun:    "webhook secret", why: "Clerk's webhooks cannot be verified without it.",
		remedy:       "Copy it from the endpoint's page in the Clerk dashboard; it starts with whsec_.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *[]string { return &c.WebhookSecrets }, listOf(anyText)),
	}, {
		Name:    publishableName,
		Unset:   "the issuer is not derived",
		Value:   "pk_test_… or pk_live_…",
		Example: "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k",
		Summary: "The publishable key of the Clerk instance. The issuer of the tokens is derived from it.",
		When:    "Set it, or set CLERK_ISSUER.",
		noun:    "publishable key", why: "The issuer of the tokens is derived from it.",
		remedy:  "Copy it from the API keys page in the Clerk dashboard; it starts with pk_test_ or pk_live_.",
		binding: bind(func(c *Config) *string { return &c.PublishableKey }, parsePublishableKey),
	}, {
		Name:    "CLERK_INSTANCE_ID",
		Unset:   "learned from Clerk's keys, and remembered by the database",
		Value:   "ins_ followed by letters and digits",
		Example: "ins_2abcDEF",
		Summary: "The Clerk instance that this mirror belongs to. Events and keys of other instances are refused.",
		When:    "Rarely: the database remembers the first instance that it mirrored.",
		noun:    "instance id", why: "It is used to recognize events of other instances.",
		binding: bind(func(c *Config) *string { return &c.InstanceID }, matching("ins_…", `^ins_[A-Za-z0-9]{1,64}$`)),
	}, {
		Name: "CLERK_API_URL", Default: "https://api.clerk.com",
		Value:   urlValue,
		Summary: "The base URL of Clerk's Backend API, without /v1.",
		When:    "For tests against an emulated Clerk, or where a proxy is between clerksync and Clerk.",
		noun:    "Clerk API URL", why: "The secret key is sent to this address.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.APIURL }, parseAPIURL),
	}, {
		Name: schemeName, Default: "svix",
		Value:   "svix or hmac-body",
		Summary: "How webhooks are signed. With hmac-body neither the message id nor the time is signed, so that anyone who records a webhook can send it again.",
		When:    "Leave it unset for Clerk.",
		noun:    "webhook scheme", why: "Webhooks are verified by this scheme.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.WebhookScheme }, oneOf("svix", "hmac-body")),
	}}
}
