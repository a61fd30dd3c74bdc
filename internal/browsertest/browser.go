package browsertest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/remote"
)

// Browser is a Chromium that a test started.
type Browser struct {
	ctx    context.Context
	folder string // of its profile
}

// Start starts a Chromium without a window. It finds no machine but this one, and ends with the
// test.
func Start(t testing.TB) *Browser {
	t.Helper()
	return start(t)
}

// StartShared starts one that other programs can drive, too, at its [Browser.Endpoint].
func StartShared(t testing.TB) *Browser {
	t.Helper()
	return start(t, remote.WebSocket)
}

func start(t testing.TB, more ...chromedp.ExecAllocatorOption) *Browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("no chromium in PATH; make setup installs one")
	}
	folder := t.TempDir()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(folder), chromedp.DisableGPU,
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1"),
		chromedp.Flag("disable-component-update", true), // which would use the network
		chromedp.Flag("disable-quic", true),
	)
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium has no sandbox for root
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), append(options, more...)...)
	ctx, end := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Logf("Chromium did not end by itself: %v", err)
		}
		end()
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("Chromium does not start: %v", err)
	}
	return &Browser{ctx, folder}
}

// Endpoint returns the address of a shared browser, for Playwright's connectOverCDP.
func (b *Browser) Endpoint(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(b.folder, "DevToolsActivePort"))
	if err != nil {
		t.Fatal(err)
	}
	port, path, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return "ws://127.0.0.1:" + port + path
}
