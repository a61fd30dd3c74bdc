// Package emulator is a Clerk instance in memory, for development and tests without an account and
// without a network: Backend API, Frontend API, keys, tokens, and webhooks with retries and faults.
//
// A change goes through the files in this order:
//
//	simulate.go            Step chooses what a simulated user does next
//	emulator.go            Call and ServeHTTP: a request of the Backend API or the control API
//	routes.go, api.go      endpoints, parameters, pages; limits.go and faults.go come first
//	users.go, sessions.go, organizations.go, memberships.go, invitations.go, domains.go,
//	access.go, templates.go, subscriptions.go, billing.go, actor_tokens.go
//	                       one file a kind; model*.go has the objects field by field
//	  addresses*.go, user_secrets.go, user_states.go
//	                       what belongs to a user
//	policies.go, waitlist.go, instance_settings.go
//	                       what decides for the whole instance; validation.go checks values
//	sender.go              plans attempts for each endpoint, with faults
//	  sender_queue.go      which attempt is due, by the instance's clock (clock.go)
//	  sender_attempt.go    one signed request; Svix's retries
//	messages.go            what became of each event
//
// Pages in browsers take the Frontend API, which changes the same objects by the same functions:
//
//	frontend.go            which requests are of the Frontend API; dispatch, answers
//	  frontend_access.go   host names and origins, CORS
//	  frontend_form.go     forms as clerk-js sends them
//	frontend_routes.go     the table of endpoints
//	frontend_browsers.go   the client of each browser; signedIn finds the session and the user
//	frontend_objects.go    users, memberships and organizations as people see them
//	frontend_*.go          the endpoints
//	codes.go, inbox.go     codes and links sent to people; passwords.go has the passwords
//	settings.go            what the dashboard sets
//
// In addition, instance.go has the identity and keys, tokens.go signs tokens, control.go is the
// control API, state.go saves everything to a file, random.go makes what depends on the seed.
// compare.go and ledger.go compare a copy with the instance, now and over time.
//
// The emulator shares no code with what it tests, except the packages clerk and webhook: its tokens
// are signed by go-jose, not by package auth.
package emulator
