// Package machine verifies the API keys and tokens that only Clerk can read, and remembers them.
// Clerk is paid for each verification, and a request waits for it.
//
// A token takes this way, and most take the first step only:
//
//	verifier.go     what this process remembers, by an HMAC of the token
//	  resolve.go    one look for all who ask at a time: the database, budgets, then Clerk
//	    budget.go   how many unknown tokens are looked up: by address, and paid for in a minute
//	    check.go    what Clerk says, and which of its answers count
//	saver.go        what was verified goes to the database, so that a restart pays for nothing twice
//	revocations.go  tokens and subjects that were revoked here, for JWTs too
//
// # Guarantees
//
//   - Only what Clerk positively calls valid is accepted: neither revoked nor expired, with the
//     expected form of the id. It is accepted for Config.TTL, and no longer than it lives. While
//     Clerk cannot be asked, it is accepted for Config.MaxStale more.
//   - An outage, a 429 and a used-up budget never refuse a token: they are an
//     [auth.UnavailableError].
//   - Unknown tokens cost no more than Config.CallsPerMinute verifications in any minute, and OAuth
//     tokens among them no more than half of the API's budget, however many there are. A token that
//     is remembered is never refused by these budgets.
//   - A token is in memory while it is verified. It is in no log, error or row of the database.
//   - What was revoked here is refused by this process at once, and by others as soon as they
//     follow the change feed (internal/live).
package machine
