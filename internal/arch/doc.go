// Package arch holds tests of the architecture, and nothing else: who may import
// whom, which modules each package and the binary may need, and habits that no
// linter knows. What a table here does not list is refused: a new package or
// dependency begins with a line here, which is where it is discussed.
//
// The module list of the binary, deps.txt, is rewritten with
//
//	go test ./internal/arch -update
package arch
