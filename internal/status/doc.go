// Package status decides whether the mirror is proven to equal Clerk, and says so in a sentence.
//
// [Read] gathers the facts in one read transaction. [Assess] is a pure function over them;
// everything that says "in sync" or an exit code asks it: the status command and endpoint,
// health, doctor, and reconcile. What the claim means and what it rests on is written down for
// people in docs/proof.md.
package status
