package emulator

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// signInAttempt is a sign-in under way, which belongs to one client.
type signInAttempt struct {
	ID         string `json:"id"`
	Status     string `json:"status"`
	Identifier string `json:"identifier,omitempty"`
	UserID     string `json:"user_id,omitempty"` // empty: not identified, or no such user (see IfMissing)
	IfMissing  bool   `json:"if_missing,omitempty"`
	First      *check `json:"first,omitempty"`
	Second     *check `json:"second,omitempty"`
	SessionID  string `json:"session_id,omitempty"`
	AbandonAt  int64  `json:"abandon_at"`

	Organization string `json:"organization_id,omitempty"` // of a ticket; active in the session
}

// attemptLife is how long a sign-in or a sign-up can be continued.
const attemptLife = 24 * time.Hour

// frontSignIn is a sign-in, field by field as Clerk documents it.
type frontSignIn struct {
	Object               string        `json:"object"`
	ID                   string        `json:"id"`
	Status               string        `json:"status"`
	SupportedIdentifiers []string      `json:"supported_identifiers"`
	FirstFactors         []factor      `json:"supported_first_factors"`
	SecondFactors        []factor      `json:"supported_second_factors"`
	First                *Verification `json:"first_factor_verification"`
	Second               *Verification `json:"second_factor_verification"`
	Identifier           *string       `json:"identifier"`
	UserData             *signInUser   `json:"user_data"`
	CreatedSessionID     *string       `json:"created_session_id"`
	AbandonAt            int64         `json:"abandon_at"`
}

// signInUser is what a person sees of the account before the sign-in is complete.
type signInUser struct {
	FirstName *string `json:"first_name"`
	LastName  *string `json:"last_name"`
	ImageURL  string  `json:"image_url"`
	HasImage  bool    `json:"has_image"`
}

func (e *Emulator) shownSignIn(a *signInAttempt) *frontSignIn {
	shown := &frontSignIn{
		Object: "sign_in_attempt", ID: a.ID, Status: a.Status, SupportedIdentifiers: e.identifiers(), First: e.verification(a.First),
		Second: e.verification(a.Second), Identifier: text(a.Identifier), CreatedSessionID: text(a.SessionID), AbandonAt: a.AbandonAt,
	}
	r := e.users.byID[a.UserID]
	switch {
	case r != nil:
		shown.UserData = &signInUser{r.FirstName, r.LastName, r.ImageURL, r.HasImage}
		if shown.FirstFactors = r.firstFactors(true); a.Status == "needs_second_factor" {
			shown.SecondFactors = r.secondFactors()
		}
	case a.IfMissing:
		shown.FirstFactors = missingFactors(a.Identifier)
	}
	return shown
}

// identifiers returns by what people can sign in.
func (e *Emulator) identifiers() []string {
	all := []string{}
	for _, a := range e.options.Settings.attributes() {
		if a.setting != "off" && slices.Contains([]string{"email_address", "phone_number", "username"}, a.name) {
			all = append(all, a.name)
		}
	}
	return all
}

// missingFactors returns how a person without an account can verify an address, for a sign-in that
// becomes a sign-up.
func missingFactors(identifier string) []factor {
	if strings.Contains(identifier, "@") {
		return []factor{{Strategy: "email_code", SafeIdentifier: identifier, EmailAddressID: "idn_missing", Primary: new(true)}}
	}
	return []factor{{Strategy: "phone_code", SafeIdentifier: identifier, PhoneNumberID: "idn_missing", Primary: new(true)}}
}

type signInParameters struct {
	Strategy   string  `json:"strategy"`
	Identifier string  `json:"identifier"`
	Password   *string `json:"password"`
	Ticket     string  `json:"ticket"`
	Redirect   string  `json:"redirect_url"`
	Transfer   bool    `json:"transfer"`
	IfMissing  bool    `json:"sign_up_if_missing"`
	Code       string  `json:"code"`
	AddressID  string  `json:"email_address_id"`
	PhoneID    string  `json:"phone_number_id"`
}

// createSignIn begins a sign-in, and does as much of it as the parameters allow.
func (e *Emulator) createSignIn(c *frontCall) (any, error) {
	var p signInParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if err := e.oneSession(c); err != nil {
		return nil, err
	}
	a := &signInAttempt{
		ID: e.random.id("sia"), Status: "needs_identifier", AbandonAt: e.clock.now().Add(attemptLife).UnixMilli(), IfMissing: p.IfMissing,
	}
	if p.Password != nil && p.Strategy == "" {
		p.Strategy = "password"
	}
	if err := e.beginSignIn(c, a, p); err != nil {
		return nil, err
	}
	b := e.needBrowser(c)
	b.SignIn = a
	e.touchBrowser(b)
	if a.First != nil && a.First.Status == "verified" {
		if err := e.advanceSignIn(c, a); err != nil {
			return nil, err
		}
	}
	return e.shownSignIn(a), nil
}

func (e *Emulator) beginSignIn(c *frontCall, a *signInAttempt, p signInParameters) error {
	switch p.Strategy {
	case "ticket":
		return e.signInByTicket(c, a, p.Ticket)
	case "", "password", "email_code", "phone_code", "email_link", "reset_password_email_code", "reset_password_phone_code":
	default:
		return e.noStrategy(c, p.Strategy)
	}
	if p.Transfer {
		return fail(http.StatusBadRequest, "sign_in_no_identification_for_user", "no sign-up to transfer", "There is no sign-up to continue as a sign-in.")
	}
	a.Identifier = strings.TrimSpace(p.Identifier)
	if a.Identifier == "" {
		if p.Strategy != "" {
			return missing("identifier")
		}
		return nil
	}
	r := e.findUser(a.Identifier)
	if r == nil && !a.IfMissing {
		return fail(http.StatusUnprocessableEntity, "form_identifier_not_found", "Couldn't find your account.", "Couldn't find your account.").about("identifier")
	}
	a.Status = "needs_first_factor"
	if r != nil {
		a.UserID, a.IfMissing = r.ID, false
		if err := e.mayIdentify(r); err != nil {
			return err
		}
		if identifierType(a.Identifier) != "" && !e.policies.Restrictions.AllowlistBlocklistDisabledOnSignIn {
			if err := e.policies.admit("identifier", a.Identifier); err != nil {
				return err
			}
		}
		if err := e.alreadySignedIn(c, r); err != nil {
			return err
		}
	}
	switch p.Strategy {
	case "":
		return nil
	case "password":
		if r == nil {
			return wrongPassword("password")
		}
		k, err := e.proven(r, nil, "password", or(p.Password), "")
		a.First = k
		return err
	}
	return e.prepareFirst(c, a, p)
}

// oneSession refuses to sign in while somebody is, unless the instance allows several sessions.
func (e *Emulator) oneSession(c *frontCall) error {
	if c.browser == nil || e.options.Settings.MultiSession || len(e.live(c.browser)) == 0 {
		return nil
	}
	const text = "You're currently in single session mode. You can only be signed into one account at a time."
	return fail(http.StatusBadRequest, "session_exists", "Session already exists", text)
}

// alreadySignedIn refuses to sign a user in a second time in the same browser.
func (e *Emulator) alreadySignedIn(c *frontCall, r *userRecord) error {
	if c.browser == nil {
		return nil
	}
	for _, s := range e.live(c.browser) {
		if s.UserID == r.ID {
			failure := fail(http.StatusBadRequest, "identifier_already_signed_in", "You're already signed in", "You're already signed in.")
			failure.Errors[0].Meta["session_id"] = s.ID
			return failure
		}
	}
	return nil
}

// noStrategy returns 501 for ways to sign in that are not implemented, and counts them.
func (e *Emulator) noStrategy(c *frontCall, strategy string) error {
	known := []string{"oauth_", "web3_", "saml", "enterprise_sso", "passkey", "google_one_tap", "trusted_device"}
	if !slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(strategy, k) }) {
		return invalid("strategy", strategy+" does not match one of the allowed values for parameter strategy.")
	}
	return e.notImplemented(c.r.Method + " " + c.r.URL.Path + " with the strategy " + strategy)
}

// signInOf returns the client's sign-in that the path names.
func (e *Emulator) signInOf(c *frontCall) (*signInAttempt, error) {
	if c.browser != nil && c.browser.SignIn != nil && c.browser.SignIn.ID == c.id() {
		a := c.browser.SignIn
		if a.Status != "complete" && e.clock.now().UnixMilli() >= a.AbandonAt {
			a.Status = "abandoned"
		}
		return a, nil
	}
	return nil, notFound("sign in", c.id())
}

func (e *Emulator) getSignIn(c *frontCall) (any, error) {
	a, err := e.signInOf(c)
	if err != nil {
		return nil, err
	}
	return e.shownSignIn(a), nil
}

// signInStep runs one step of a sign-in, which must be in one of the given states, and then
// whatever follows from it.
func (e *Emulator) signInStep(c *frontCall, run func(*signInAttempt, signInParameters) error, states ...string) (any, error) {
	a, err := e.signInOf(c)
	if err != nil {
		return nil, err
	}
	var p signInParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if !slices.Contains(states, a.Status) {
		return nil, fail(http.StatusBadRequest, "client_state_invalid", "Invalid client state", "This sign in is "+a.Status+": the step is not possible now.")
	}
	if a.UserID != "" { // who was deleted meanwhile must not look like somebody without an account
		if _, err := e.user(a.UserID); err != nil {
			return nil, err
		}
	}
	if err := run(a, p); err != nil {
		return nil, err
	}
	e.touchBrowser(c.browser)
	return e.shownSignIn(a), nil
}

func (e *Emulator) prepareFirstFactor(c *frontCall) (any, error) {
	return e.signInStep(c, func(a *signInAttempt, p signInParameters) error { return e.prepareFirst(c, a, p) }, "needs_first_factor", "needs_new_password")
}

func (e *Emulator) prepareFirst(c *frontCall, a *signInAttempt, p signInParameters) error {
	switch p.Strategy {
	case "":
		return missing("strategy")
	case "email_code", "phone_code", "email_link", "reset_password_email_code", "reset_password_phone_code":
	case "password":
		return fail(http.StatusBadRequest, "strategy_for_user_invalid", "Invalid verification strategy", "A password needs no preparation.")
	default:
		return e.noStrategy(c, p.Strategy)
	}
	all := missingFactors(a.Identifier)
	if r := e.users.byID[a.UserID]; r != nil {
		all = r.firstFactors(true)
		if err := e.mayIdentify(r); err != nil {
			return err
		}
	}
	strategy := p.Strategy
	if strategy == "email_link" {
		strategy = "email_code"
	}
	f, err := chosen(all, strategy, p.AddressID+p.PhoneID, a.Identifier)
	if err != nil {
		return err
	}
	k := a.First
	if p.Strategy != "email_link" {
		k = e.prepared(k, f, a.UserID)
	} else if k, err = e.sendLinkCheck(c, f, a.UserID, p.Redirect); err != nil {
		return err
	}
	a.Status, a.First = "needs_first_factor", k
	return nil
}

func (e *Emulator) attemptFirstFactor(c *frontCall) (any, error) {
	return e.signInStep(c, func(a *signInAttempt, p signInParameters) error {
		if p.Strategy == "" {
			return missing("strategy")
		}
		if p.Strategy == "ticket" {
			if err := e.signInByTicket(c, a, p.Ticket); err != nil {
				return err
			}
			return e.advanceSignIn(c, a)
		}
		r := e.users.byID[a.UserID]
		if r == nil {
			if err := e.try(a.First, p.Strategy, p.Code); err != nil {
				return err
			}
			a.First.Status = "transferable" // to a sign-up
			return nil
		}
		switch p.Strategy {
		case "password", "email_code", "phone_code", "reset_password_email_code", "reset_password_phone_code":
		default:
			return e.noStrategy(c, p.Strategy)
		}
		k, err := e.proven(r, a.First, p.Strategy, or(p.Password), p.Code)
		if a.First = k; err != nil {
			return err
		}
		return e.advanceSignIn(c, a)
	}, "needs_first_factor")
}

func (e *Emulator) prepareSecondFactor(c *frontCall) (any, error) {
	return e.signInStep(c, func(a *signInAttempt, p signInParameters) error {
		r := e.users.byID[a.UserID]
		if r == nil {
			return notFound("user", a.UserID)
		}
		if p.Strategy == "" {
			p.Strategy = "phone_code"
		}
		f, err := chosen(r.secondFactors(), p.Strategy, p.PhoneID, "")
		if err != nil {
			return err
		}
		if f.PhoneNumberID != "" {
			a.Second = e.prepared(a.Second, f, r.ID)
		}
		return nil
	}, "needs_second_factor")
}

func (e *Emulator) attemptSecondFactor(c *frontCall) (any, error) {
	return e.signInStep(c, func(a *signInAttempt, p signInParameters) error {
		r := e.users.byID[a.UserID]
		if r == nil {
			return notFound("user", a.UserID)
		}
		if _, err := chosen(r.secondFactors(), p.Strategy, "", ""); err != nil {
			return err
		}
		k, err := e.proven(r, a.Second, p.Strategy, "", p.Code)
		if a.Second = k; err != nil {
			return err
		}
		return e.completeSignIn(c, a, r)
	}, "needs_second_factor")
}

// resetPassword sets the new password of a sign-in that a code for that began.
func (e *Emulator) resetPassword(c *frontCall) (any, error) {
	return e.signInStep(c, func(a *signInAttempt, _ signInParameters) error {
		var p struct {
			Password        string `json:"password"`
			SignOutOfOthers bool   `json:"sign_out_of_other_sessions"`
		}
		if err := c.decode(&p); err != nil {
			return err
		}
		r := e.users.byID[a.UserID]
		if r == nil {
			return notFound("user", a.UserID)
		}
		if err := checkPassword("password", p.Password); err != nil {
			return err
		}
		hash := hashPassword(p.Password)
		if _, err := e.rewrite(r, func(next *userRecord, now int64) { next.setPassword(hash, now) }); err != nil {
			return err
		}
		if p.SignOutOfOthers {
			e.endSessions(r.ID, "revoked")
		}
		return e.secondOrComplete(c, a, r)
	}, "needs_new_password")
}

// advanceSignIn goes on after the first factor was verified.
func (e *Emulator) advanceSignIn(c *frontCall, a *signInAttempt) error {
	r := e.users.byID[a.UserID]
	if r == nil || a.First.Status != "verified" {
		return nil
	}
	if strings.HasPrefix(a.First.Strategy, "reset_password") {
		a.Status = "needs_new_password"
		return nil
	}
	if a.First.Strategy == "ticket" { // needs no second factor, as at Clerk
		return e.completeSignIn(c, a, r)
	}
	return e.secondOrComplete(c, a, r)
}

func (e *Emulator) secondOrComplete(c *frontCall, a *signInAttempt, r *userRecord) error {
	if len(r.secondFactors()) > 0 {
		a.Status = "needs_second_factor"
		return nil
	}
	return e.completeSignIn(c, a, r)
}

// completeSignIn opens the session.
func (e *Emulator) completeSignIn(c *frontCall, a *signInAttempt, r *userRecord) error {
	if err := e.mayIdentify(r); err != nil {
		return err
	}
	b := e.needBrowser(c)
	s := e.openSession(e.random.id("sess"), b.ID, r, text(a.Organization), a.actor(e), false)
	if a.Second != nil && a.Second.Status == "verified" {
		s.verifiedAt[1] = s.verifiedAt[0]
	}
	a.Status, a.SessionID = "complete", s.ID
	b.LastSession, b.LastStrategy = s.ID, lastStrategy(a.First)
	e.touchBrowser(b)
	return nil
}

// lastStrategy returns what the SDKs show as the way in which a person signed in before.
func lastStrategy(k *check) string {
	if k == nil || k.Strategy == "ticket" {
		return ""
	}
	return strings.TrimPrefix(k.Strategy, "reset_password_")
}
