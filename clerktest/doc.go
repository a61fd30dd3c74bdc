// Package clerktest gives tests a Clerk of their own: an emulated instance in the test's
// process, with users, sessions, organizations, tokens that verify, webhooks that are
// signed, and as unreliable a network as the test asks for. No account, no network, no
// container.
//
//	clerk := clerktest.New(t)
//	mirror := … clerksync.New(ctx, db, clerk.Config())
//	clerk.SendTo(mirror.WebhookHandler())
//	ada := clerk.CreateUser(clerktest.User{Email: "ada@example.com", Role: "growth"})
//	request.Header.Set("Authorization", "Bearer "+clerk.Token(ada))
//	clerktest.AssertConverged(t, clerk, mirror)
//
// What has no method here is a [Clerk.Call] of the Backend API or of the emulator's control
// API; docs/emulator.md lists both. The same emulator runs as a server of its own by
// `clerksync emulate`.
package clerktest
