package emulator

import (
	"cmp"
	"net/http"
	"strings"
)

// sendLinkCheck begins a verification by a link that is sent to an address.
func (e *Emulator) sendLinkCheck(c *frontCall, f factor, userID, redirect string) (*check, error) {
	if redirect == "" {
		return nil, missing("redirect_url")
	}
	if !e.localURL(redirect) {
		return nil, invalid("redirect_url", "redirect_url must be a page of this machine, of a private network or of an allowed origin.")
	}
	now := e.clock.now()
	k := &check{
		Strategy: "email_link", Status: "unverified", Token: e.random.text(40), To: f.SafeIdentifier, Address: f.addressID(), Redirect: redirect,
		ExpireAt: now.Add(codeLife).UnixMilli(), SentAt: now.UnixMilli(),
	}
	base := cmp.Or(e.url, "http://"+c.r.Host)
	e.sendLink(k.To, k.Address, userID, "magic_link_sign_in", "Verify your email address", base+"/v1/verify?token="+k.Token)
	e.changed = true
	return k, nil
}

// verifyLink is where the links of e-mails lead. It verifies, and sends the browser on to the page
// that asked; the page where the sign-in began notices by itself, because it polls.
func (e *Emulator) verifyLink(c *frontCall) (any, error) {
	token := c.query.Get("token")
	b, k := e.linkCheck(token)
	if k == nil {
		return nil, fail(http.StatusBadRequest, "verification_link_token_invalid", "invalid link", "The link is invalid, or a newer one was sent.")
	}
	status := "verified"
	switch k.aged(e.clock.now()).Status {
	case "expired":
		status = "expired"
	case "verified":
		return nil, fail(http.StatusBadRequest, "verification_already_verified", "already verified", "This verification has already been verified.")
	default:
		k.Status = "verified"
		mine := *c // the sign-in goes on in the browser where it began
		mine.browser = b
		if err := e.afterLink(&mine, k); err != nil {
			return nil, err
		}
	}
	session := ""
	if s := e.lastActive(b); s != nil && status == "verified" {
		session = s.ID
	}
	return redirect{http.StatusSeeOther, withQuery(k.Redirect, "__clerk_status", status, "__clerk_created_session", session)}, nil
}

func (e *Emulator) afterLink(c *frontCall, k *check) error {
	if a := c.browser.SignIn; a != nil && a.First == k {
		if err := e.advanceSignIn(c, a); err != nil {
			return err
		}
	}
	if a := c.browser.SignUp; a != nil && a.EmailCheck == k {
		if err := e.advanceSignUp(c, a); err != nil {
			return err
		}
	}
	e.touchBrowser(c.browser)
	return nil
}

// linkCheck returns the verification of a link, and the client where it began.
func (e *Emulator) linkCheck(token string) (*browser, *check) {
	if strings.TrimSpace(token) == "" {
		return nil, nil
	}
	for _, b := range e.browsers.byID {
		if b.SignIn != nil && b.SignIn.First != nil && b.SignIn.First.Strategy == "email_link" && b.SignIn.First.Token == token {
			return b, b.SignIn.First
		}
		if b.SignUp != nil && b.SignUp.EmailCheck != nil && b.SignUp.EmailCheck.Strategy == "email_link" && b.SignUp.EmailCheck.Token == token {
			return b, b.SignUp.EmailCheck
		}
	}
	return nil, nil
}
