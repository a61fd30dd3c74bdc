// Package emulator stands in for Clerk where there is no account and no network: an
// instance with keys of its own, tokens signed by them, and the events of its users.
//
// It shares no code with what it is used to judge: its tokens are signed by go-jose, not
// by package auth.
package emulator
