// Package receive takes webhooks: it bounds what a delivery may cost before its signature is
// verified, verifies it, and hands it to package ingest. The answer is sent after the commit.
package receive
