// Package feedhttp is the HTTP side of cursors of the change feed: the answers to cursors that
// cannot be continued, and the query parameter at_least.
package feedhttp
