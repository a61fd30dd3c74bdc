// Package clerktest runs an emulated Clerk instance in the process of a test. The instance has
// users, sessions and organizations, issues tokens that verify, and sends signed webhooks over a
// network that is as unreliable as the test wants. It needs no account, no internet and no
// container.
//
// Start an instance, make a mirror with its configuration, and subscribe the mirror to its
// webhooks:
//
//	clerk := clerktest.New(t)
//	mirror, err := clerksync.New(t.Context(), db, clerk.Config())
//	if err != nil {
//		t.Fatal(err)
//	}
//	clerk.SendTo(mirror.WebhookHandler())
//
// Then change something at Clerk, and check what the mirror has or what a request gets:
//
//	ada := clerk.CreateUser(clerktest.User{Email: "ada@example.com", Role: "growth"})
//	clerktest.AssertConverged(t, clerk, mirror)
//	request.Header.Set("Authorization", "Bearer "+clerk.Token(ada))
//
// For everything without a method here, use [Clerk.Call] with the Backend API or with the
// emulator's control API. docs/emulator.md lists both. The command `clerksync emulate` runs the
// same emulator as a server.
package clerktest
