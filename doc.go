// Package clerksync keeps a copy of a Clerk instance in your own database, and turns a Clerk token
// into the stored user.
//
// A [Mirror] receives Clerk's signed webhooks ([Mirror.WebhookHandler]) and writes users, sessions,
// organizations and their changes to SQLite or Postgres. The rows are correct whatever the order of
// the events, and however often each of them arrives. An event that was answered with 2xx is
// durable, and the next request sees it. Tokens are verified without a network call, and a handler
// finds the stored user in the context of its request:
//
//	db, err := sqlite.Open("clerk.db")
//	m, err := clerksync.New(ctx, db, clerksync.Config{
//	    SecretKey:      os.Getenv("CLERK_SECRET_KEY"),
//	    WebhookSecrets: []string{os.Getenv("CLERK_WEBHOOK_SIGNING_SECRET")},
//	})
//	defer m.Close()
//	go m.Run(ctx) // background work; stop serving if it returns an error before ctx ends
//	mux.Handle("POST /api/webhooks/clerk", m.WebhookHandler())
//	mux.Handle("GET /api/deals", m.Require(auth.MinRole("growth"))(deals))
//
// An application reacts to changes in the transaction that stores them (Config.OnChange), or after
// the commit ([Mirror.Consume], [Mirror.Changes]).
//
// docs/schema.md describes the tables and views of the mirror. An application can join them with
// its own tables. clerksync changes something at Clerk only where an
// operator asks for it, such as with [Users.Ban]; Config.DisableWrites forbids that.
package clerksync
