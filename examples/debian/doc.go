// Package debian has a script, run.sh, that shows clerksync from an empty Debian to upgrade and
// restore, and the test that runs it.
package debian
