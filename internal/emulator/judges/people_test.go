package judges

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/clerksync/clerksync/internal/browsertest"
)

// picture writes a picture of a page, if pictures are wanted.
func picture(p *browsertest.Tab, name string) {
	p.Helper()
	if *screenshots == "" {
		return
	}
	if err := os.MkdirAll(*screenshots, 0o750); err != nil {
		p.Fatal(err)
	}
	p.Screenshot(filepath.Join(*screenshots, name+".png"))
}

// run evaluates statements of JavaScript and returns what they return. They may await.
func run[T any](p *browsertest.Tab, format string, values ...any) T {
	p.Helper()
	return browsertest.Evaluate[T](p, "(async () => {"+fmt.Sprintf(format, values...)+"})()")
}
