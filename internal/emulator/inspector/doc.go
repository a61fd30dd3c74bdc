// Package inspector is the page of an emulated Clerk: what a developer looks up or changes while an
// application runs against it. It shows people, organizations, sessions, the e-mails and text
// messages that people would have got, webhooks, faults and the clock, and it opens an application
// signed in as anyone.
//
//	server.Handler = inspector.New(e, inspector.Options{})
//
// [New] serves the pages at "/" and leaves all other paths to the emulator. It has no sign-in of
// its own, so access.go decides who may use it: browsers on the same machine, by a name of this
// machine, and forms of its own pages alone.
//
// A page is a function of a [visit], which fills a struct and renders the template of the same
// name. It reads and changes the emulated instance like everyone else, through its APIs, and
// through methods that return pages of long lists. Package pages has the look, the script and the
// components; every page works without JavaScript.
package inspector
