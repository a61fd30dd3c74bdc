// Package arch holds tests of the architecture and nothing else: which package may import which,
// which modules each package and the binary may need, and rules that no linter checks. What a table
// here does not list is refused. A new package or dependency begins with a line here, which is
// where to discuss it.
//
// Rewrite deps.txt, the list of the binary's modules, with
//
//	go test ./internal/arch -update
package arch
