// Package testenv gives tests what they need from outside the process: a real
// PostgreSQL, golden files, fixtures of the repository and captured logs.
//
// Only tests may import it (package arch proves that). A missing prerequisite
// fails the test and names the remedy; nothing here ever skips.
//
// [Postgres] is the usual entry: a fresh, empty database per call. A private
// server is started at the first call of a test process and shared by its
// tests; it dies with the process, however that ends, so no TestMain is needed.
// [NewPostgresServer] starts one more for tests that stop, restart or kill it.
//
// Package testkit is the layer above: databases of both engines, and a mirror of an emulated Clerk.
// Tests that testkit cannot serve, because it imports their package, use this one directly.
//
// The helpers need a Unix system.
package testenv
