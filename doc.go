// Package clerksync keeps a backend's own database a faithful copy of its Clerk users,
// sessions and organizations, and turns a Clerk token into the stored user.
//
// A [Mirror] takes Clerk's signed webhooks ([Mirror.WebhookHandler]) and writes them to
// SQLite or Postgres so that the rows come out right in whatever order the events come,
// however often. What was answered with 2xx is durable and is seen by the very next
// request. Tokens are verified without a network call, and a handler finds the stored
// user in its context:
//
//	db, err := sqlite.Open("clerk.db")
//	m, err := clerksync.New(ctx, db, clerksync.Config{
//	    SecretKey:      os.Getenv("CLERK_SECRET_KEY"),
//	    WebhookSecrets: []string{os.Getenv("CLERK_WEBHOOK_SIGNING_SECRET")},
//	})
//	defer m.Close()
//	go m.Run(ctx) // background work; what it returns before ctx ends is a reason not to serve
//	mux.Handle("POST /api/webhooks/clerk", m.WebhookHandler())
//	mux.Handle("GET /api/deals", m.Require(auth.MinRole("growth"))(deals))
//
// The mirrored tables and views are documented in docs/schema.md: an application may join
// them with its own. clerksync never writes to Clerk.
package clerksync
