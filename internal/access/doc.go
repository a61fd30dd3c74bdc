// Package access decides who makes a request and what the caller may do. A [Gate] verifies the
// token, compares it with what is stored, and asks the rule.
//
//   - authorize.go: the decision about one request, and how a refusal is answered
//   - ondemand.go: reads from Clerk while a request waits, for users who are not mirrored yet and
//     for stored facts that are not proven
//   - grants.go: which stored facts may grant now
//   - explain.go: the same decision for operators, with every fact that it rests on
//   - me.go: the caller as JSON
//   - operator.go, operators.go: operators by their tokens
//   - audit.go: the writer of the audit
//
// Package live is the cache below it.
package access
