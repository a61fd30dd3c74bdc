// Package testkit is the one test kit: databases of both engines, and a mirror of an emulated Clerk
// instance with a clock that tests move.
//
//	database.go  EachEngine runs a test on SQLite and on Postgres; Database is an empty database
//	env.go       Env: a Clerk instance, a mirror that its events reach, and a reconciler
//	clerk.go     what happens at Clerk: Call, Rename; what its API answers: Respond, Intercept
//	events.go    how events arrive: Post, Redeliver, LoseEvents
//	clock.go     Now, AdvanceClock, Waited
//	rows.go      what the mirror has: AnyRow, Hidden, Suspects, AssertMirrorsClerk
//
// A typical test:
//
//	testkit.EachEnv(t, emulator.Options{Users: 5}, func(e *testkit.Env) {
//		e.Backfill()
//		e.LoseEvents()
//		user := e.FirstUsers(1)[0]
//		e.Rename(user, "Augusta")
//		e.AdvanceClock(time.Minute)
//		e.Tick()
//		e.AssertMirrorsClerk()
//	})
//
// External tests (package foo_test) of every package may use it, also of packages that it imports.
// Tests inside of store, ingest, clerkapi, reconcile and emulator cannot, because of import cycles.
//
// Package testenv is the layer below: Postgres servers, golden files and captured logs. It knows
// nothing of this project, so tests inside of any package can use it.
package testkit
