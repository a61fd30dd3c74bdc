// Command clerksync keeps a database a faithful copy of a Clerk instance.
package main

import (
	"os"

	"github.com/clerksync/clerksync/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }
