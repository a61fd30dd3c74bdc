package browsertest

import (
	"context"
	"encoding/json"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// SetStorageState gives the tab the cookies of a storage state, in the JSON that Playwright reads.
func (p *Tab) SetStorageState(state []byte) {
	p.Helper()
	var cookies network.SetCookiesParams // Chromium calls the fields as Playwright does
	if err := json.Unmarshal(state, &cookies); err != nil {
		p.Fatalf("read a storage state: %v", err)
	}
	do(p, "set cookies", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, network.SetCookies, cookies)
		return err
	}))
}
