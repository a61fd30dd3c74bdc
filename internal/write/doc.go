// Package write makes the changes that operators ask for. They go to Clerk first. Clerk's answer is
// the object after the change. It is applied like a read by id, as of the time of the request, in
// one transaction with the entry of the audit. So whoever asks the mirror next sees the change,
// even if Clerk's event never comes.
//
// What fails is audited too. Where Clerk may have made a change although no answer says so, the
// object is put into the verify queue, and is read again within seconds.
//
// Without a secret key Clerk cannot be asked. Then what can be overridden here is overridden:
// roles, bans and the end of sessions.
package write
