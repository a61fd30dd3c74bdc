// Package emulator runs an emulated Clerk instance inside a program: for a demo, or for a
// development server that starts without an account. It links no package for tests. In a test, use
// package clerktest.
//
// The instance has users, sessions and organizations, issues tokens that verify, and sends signed
// webhooks:
//
//	clerk, err := emulator.Start(emulator.Options{})
//	if err != nil {
//		return err
//	}
//	defer clerk.Close()
//	m, err := clerksync.New(ctx, db, clerk.Config())
//	if err != nil {
//		return err
//	}
//	defer m.Close()
//	err = clerk.SendTo(m.WebhookHandler())
//
// Anyone on the machine can sign in as any user of the instance, so never run it with real data.
package emulator
