package browsertest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// patience is how long a page may take to show what a test waits for.
const patience = 20 * time.Second

// Tab is a page in a browser, with cookies of its own. Its methods fail the test.
type Tab struct {
	testing.TB

	ctx  context.Context
	base string

	mu     sync.Mutex
	faults []string
	ignore []string
}

// Tab opens a tab for the pages of a server. It is closed when the test ends.
func (b *Browser) Tab(t testing.TB, base string) *Tab {
	t.Helper()
	return open(b.ctx, t, base, chromedp.WithNewBrowserContext())
}

// Second opens another tab with the same cookies, for pages of the same server.
func (p *Tab) Second() *Tab {
	p.Helper()
	return open(p.ctx, p.TB, p.base)
}

func open(parent context.Context, t testing.TB, base string, options ...chromedp.ContextOption) *Tab {
	t.Helper()
	tab := &Tab{TB: t, base: strings.TrimSuffix(base, "/")}
	ctx, cancel := chromedp.NewContext(parent, append(options, chromedp.WithListener(tab.listen))...)
	tab.ctx = ctx
	t.Cleanup(func() {
		cancel()
		tab.mu.Lock()
		defer tab.mu.Unlock()
		for _, fault := range tab.faults {
			t.Errorf("the page reports: %s", fault)
		}
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("Chromium opens no tab: %v", err)
	}
	return tab
}

// listen collects what the page reports as an error: exceptions, what it writes to console.error,
// refused resources, breaches of the content security policy. A request that leaves the machine is
// one, too.
func (p *Tab) listen(event any) {
	var text string
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text = e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError {
			text = "console.error:"
			for _, arg := range e.Args {
				text += " " + cmp.Or(arg.Description, string(arg.Value))
			}
		}
	case *network.EventRequestWillBeSent:
		if leaves(e.Request.URL) {
			text = "a request left the machine: " + e.Request.URL
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError {
			text = e.Entry.Text + " " + e.Entry.URL
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ignored := range p.ignore {
		if strings.Contains(text, ignored) {
			return
		}
	}
	if text != "" {
		p.faults = append(p.faults, text)
	}
}

// leaves reports whether a request to a URL would leave the machine.
func leaves(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return true
	}
	switch u.Scheme {
	case "http", "https", "ws", "wss":
		return u.Hostname() != "localhost" && !strings.HasSuffix(u.Hostname(), ".localhost") && !net.ParseIP(u.Hostname()).IsLoopback()
	}
	return false // data:, blob: and the like
}

// Expect names an error that the page will report and that is no fault, such as "status of 403".
func (p *Tab) Expect(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ignore = append(p.ignore, text)
}

// do runs an action within the time that a page may take. If the page replaces the element
// meanwhile, it tries again.
func do[T any](p *Tab, what string, action chromedp.Action[T]) T {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	for {
		value, err := chromedp.Run(ctx, action)
		if err == nil {
			return value
		}
		if !strings.Contains(err.Error(), "Could not find node") {
			p.Fatalf("%s: %v\n%s", what, err, p.state())
		}
	}
}

// state describes the page, for the message of a test that fails.
func (p *Tab) state() string {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText.slice(0, 2000)`))
	if err != nil {
		return "the page cannot be read: " + err.Error()
	}
	return text
}

// Open opens a page of the server by its path.
func (p *Tab) Open(path string) {
	p.Helper()
	do(p, "open "+path, chromedp.Navigate(p.base+path))
}

// Path returns the path and the query of the page.
func (p *Tab) Path() string {
	p.Helper()
	u, err := url.Parse(do(p, "location", chromedp.Location()))
	if err != nil {
		p.Fatal(err)
	}
	return u.RequestURI()
}

// WaitForPath waits until the browser is at a page whose path and query have a text in them.
func (p *Tab) WaitForPath(part string) {
	p.Helper()
	p.Until("the path has "+part, "location.pathname + location.search", func(at string) bool { return strings.Contains(at, part) })
}

// Click clicks the first element that a CSS selector finds, when it is visible. A page that it
// opens is not waited for: what follows waits for its own elements.
func (p *Tab) Click(selector string) {
	p.Helper()
	do(p, "click "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// Type types a text into a field, after what it has.
func (p *Tab) Type(selector, text string) {
	p.Helper()
	p.Wait(selector)
	Evaluate[bool](p, fmt.Sprintf("document.querySelector(%s).focus() ?? true", quoted(p, selector)))
	do(p, "type into "+selector, chromedp.KeyEvent(text)) // SendKeys reads the element while events of the page write it
}

// Fill replaces the text of a field: it selects what the field has, and types over it.
func (p *Tab) Fill(selector, text string) {
	p.Helper()
	p.Wait(selector)
	Evaluate[bool](p, fmt.Sprintf("document.querySelector(%s).select() ?? true", quoted(p, selector)))
	p.Type(selector, cmp.Or(text, kb.Backspace))
}

// quoted returns a text as JavaScript writes it.
func quoted(p *Tab, text string) string {
	p.Helper()
	b, err := json.Marshal(text)
	if err != nil {
		p.Fatal(err)
	}
	return string(b)
}

// Press presses keys, wherever the focus is: a text, or keys of chromedp's package kb. As with a
// real keyboard, a key types nothing if the page prevents its default action.
func (p *Tab) Press(keys string) {
	p.Helper()
	do(p, "press "+keys, chromedp.KeyEvent(keys, func(k *input.DispatchKeyEventParams) {
		if k.Type == kb.KeyDown {
			k.Type = kb.KeyRawDown
		}
	}))
}

// Wait waits until an element is visible.
func (p *Tab) Wait(selector string) {
	p.Helper()
	do(p, "wait for "+selector, chromedp.WaitVisible(chromedp.CSS(selector)))
}

// WaitForText waits until the visible text of the page has a text in it, in any case.
func (p *Tab) WaitForText(text string) {
	p.Helper()
	p.Until("the page shows "+text, "document.body ? document.body.innerText : ''", func(all string) bool {
		return strings.Contains(strings.ToLower(all), strings.ToLower(text))
	})
}

// Until evaluates an expression of JavaScript that is a text until the text is what a test waits
// for.
func (p *Tab) Until(what, expression string, holds func(string) bool) {
	p.Helper()
	for end := time.Now().Add(patience); ; {
		ctx, cancel := context.WithTimeout(p.ctx, patience)
		text, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression)) // it fails while a page loads
		cancel()
		if err == nil && holds(text) {
			return
		}
		if time.Now().After(end) {
			p.Fatalf("in vain waited until %s: %.2000s %v\n%s", what, text, err, p.state())
		}
		<-time.After(20 * time.Millisecond)
	}
}

// Text returns the visible text of the first element that a selector finds.
func (p *Tab) Text(selector string) string {
	p.Helper()
	return strings.TrimSpace(do(p, "text of "+selector, chromedp.Text(chromedp.CSS(selector))))
}

// Count returns how many elements a selector finds at the moment.
func (p *Tab) Count(selector string) int {
	p.Helper()
	return Evaluate[int](p, fmt.Sprintf("document.querySelectorAll(%s).length", quoted(p, selector)))
}

// Evaluate returns the value of an expression of JavaScript. It waits for a promise.
func Evaluate[T any](p *Tab, expression string) T {
	p.Helper()
	return do(p, "evaluate", chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// Size sets the size of the window, in CSS pixels.
func (p *Tab) Size(width, height int) {
	p.Helper()
	do(p, "resize", chromedp.EmulateViewport(int64(width), int64(height)))
}

// PreferTheme sets the theme that the person prefers, light or dark, for all pages of the tab.
// There is no motion then.
func (p *Tab) PreferTheme(theme string) {
	p.Helper()
	do(p, "theme", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		return err
	}))
}

// DisableScript makes the tab run no JavaScript of pages.
func (p *Tab) DisableScript() {
	p.Helper()
	do(p, "disable JavaScript", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
}

// Screenshot writes a picture of the whole page to a PNG file.
func (p *Tab) Screenshot(file string) {
	p.Helper()
	if err := os.WriteFile(file, do(p, "screenshot", chromedp.FullScreenshot(100)), 0o600); err != nil {
		p.Fatal(err)
	}
}

// Picture returns a PNG picture of what a window of a size shows, with scale pixels for each CSS
// pixel. The window stays so.
func (p *Tab) Picture(width, height int, scale float64) []byte {
	p.Helper()
	do(p, "resize", chromedp.EmulateViewport(int64(width), int64(height), chromedp.EmulateScale(scale)))
	return do(p, "picture", chromedp.CaptureScreenshot())
}
