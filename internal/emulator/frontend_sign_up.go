package emulator

import (
	"net/http"
	"slices"
	"strings"
)

// signUpAttempt is a sign-up under way, which belongs to one client.
type signUpAttempt struct {
	ID         string       `json:"id"`
	Status     string       `json:"status"`
	Username   string       `json:"username,omitempty"`
	Email      string       `json:"email_address,omitempty"`
	Phone      string       `json:"phone_number,omitempty"`
	FirstName  string       `json:"first_name,omitempty"`
	LastName   string       `json:"last_name,omitempty"`
	Password   passwordHash `json:"password,omitzero"`
	Unsafe     Metadata     `json:"unsafe_metadata,omitempty"`
	Public     Metadata     `json:"public_metadata,omitempty"` // of an invitation
	Locale     string       `json:"locale,omitempty"`
	Ticket     string       `json:"ticket,omitempty"`
	LegalAt    *int64       `json:"legal_accepted_at,omitempty"`
	EmailCheck *check       `json:"email_check,omitempty"`
	PhoneCheck *check       `json:"phone_check,omitempty"`
	UserID     string       `json:"user_id,omitempty"`
	SessionID  string       `json:"session_id,omitempty"`
	AbandonAt  int64        `json:"abandon_at"`
}

// frontSignUp is a sign-up, field by field as Clerk documents it.
type frontSignUp struct {
	Object           string              `json:"object"`
	ID               string              `json:"id"`
	Status           string              `json:"status"`
	Required         []string            `json:"required_fields"`
	Optional         []string            `json:"optional_fields"`
	Missing          []string            `json:"missing_fields"`
	Unverified       []string            `json:"unverified_fields"`
	Verifications    signUpVerifications `json:"verifications"`
	Username         *string             `json:"username"`
	EmailAddress     *string             `json:"email_address"`
	PhoneNumber      *string             `json:"phone_number"`
	Web3Wallet       *string             `json:"web3_wallet"`
	PasswordEnabled  bool                `json:"password_enabled"`
	HasPassword      bool                `json:"has_password"`
	FirstName        *string             `json:"first_name"`
	LastName         *string             `json:"last_name"`
	UnsafeMetadata   Metadata            `json:"unsafe_metadata"`
	PublicMetadata   Metadata            `json:"public_metadata"`
	CustomAction     bool                `json:"custom_action"`
	ExternalID       *string             `json:"external_id"`
	CreatedSessionID *string             `json:"created_session_id"`
	CreatedUserID    *string             `json:"created_user_id"`
	AbandonAt        int64               `json:"abandon_at"`
	LegalAcceptedAt  *int64              `json:"legal_accepted_at"`
	Locale           *string             `json:"locale"`
}

// signUpVerifications are those of a sign-up; null is what was not given.
type signUpVerifications struct {
	Email           *signUpVerification `json:"email_address"`
	Phone           *signUpVerification `json:"phone_number"`
	Web3Wallet      *signUpVerification `json:"web3_wallet"`
	ExternalAccount *Verification       `json:"external_account"`
}

// signUpVerification says how far a verification is, and what to do next.
type signUpVerification struct {
	*Verification
	NextAction string   `json:"next_action"`
	Strategies []string `json:"supported_strategies"`
}

func (e *Emulator) shownSignUp(a *signUpAttempt) *frontSignUp {
	shown := &frontSignUp{
		Object: "sign_up_attempt", ID: a.ID, Status: a.Status, Required: []string{}, Optional: []string{}, Missing: e.missingFields(a),
		Unverified: a.unverified(), Username: text(a.Username), EmailAddress: text(a.Email), PhoneNumber: text(a.Phone),
		PasswordEnabled: a.Password.Digest != "", HasPassword: a.Password.Digest != "", FirstName: text(a.FirstName), LastName: text(a.LastName),
		UnsafeMetadata: a.Unsafe, PublicMetadata: a.Public, CreatedSessionID: text(a.SessionID), CreatedUserID: text(a.UserID),
		AbandonAt: a.AbandonAt, LegalAcceptedAt: a.LegalAt, Locale: text(a.Locale),
	}
	for _, x := range e.options.Settings.attributes() {
		switch x.setting {
		case "required":
			shown.Required = append(shown.Required, x.name)
		case "on":
			shown.Optional = append(shown.Optional, x.name)
		}
	}
	shown.Verifications.Email = e.signUpVerification(a.Email, "email_code", a.EmailCheck)
	shown.Verifications.Phone = e.signUpVerification(a.Phone, "phone_code", a.PhoneCheck)
	return shown
}

func (e *Emulator) signUpVerification(address, strategy string, k *check) *signUpVerification {
	if address == "" || k == nil { // <SignUp/> takes one that is unverified by email_code for one whose code was sent
		return nil
	}
	v := &signUpVerification{Verification: e.verification(k), NextAction: "needs_attempt", Strategies: []string{strategy}}
	switch k.Status {
	case "verified":
		v.NextAction = ""
	case "unverified":
	default:
		v.NextAction = "needs_prepare"
	}
	return v
}

// missingFields returns what the sign-up still needs, as Clerk computes it: required attributes
// that were not given, and one identifier at least.
func (e *Emulator) missingFields(a *signUpAttempt) []string {
	all := []string{}
	if a.Status == "complete" {
		return all
	}
	given := map[string]bool{
		"email_address": a.Email != "", "phone_number": a.Phone != "", "username": a.Username != "", "first_name": a.FirstName != "",
		"last_name": a.LastName != "", "password": a.Password.Digest != "" || a.verifiedByTicket(),
	}
	for _, x := range e.options.Settings.attributes() {
		if x.setting == "required" && !given[x.name] {
			all = append(all, x.name)
		}
	}
	identifiers := e.identifiers()
	identified := slices.ContainsFunc([]string{"email_address", "phone_number", "username"}, func(x string) bool { return given[x] })
	if !identified && len(identifiers) > 0 && !slices.Contains(all, identifiers[0]) {
		all = append(all, identifiers[0])
	}
	return all
}

// verifiedByTicket reports whether an invitation began the sign-up: then no password is needed.
func (a *signUpAttempt) verifiedByTicket() bool {
	return a.EmailCheck != nil && a.EmailCheck.Strategy == "ticket"
}

func (a *signUpAttempt) unverified() []string {
	all := []string{}
	if a.Email != "" && (a.EmailCheck == nil || a.EmailCheck.Status != "verified") {
		all = append(all, "email_address")
	}
	if a.Phone != "" && (a.PhoneCheck == nil || a.PhoneCheck.Status != "verified") {
		all = append(all, "phone_number")
	}
	return all
}

type signUpParameters struct {
	Strategy     string   `json:"strategy"`
	EmailAddress *string  `json:"email_address"`
	PhoneNumber  *string  `json:"phone_number"`
	Either       *string  `json:"email_address_or_phone_number"`
	Username     *string  `json:"username"`
	Password     *string  `json:"password"`
	FirstName    *string  `json:"first_name"`
	LastName     *string  `json:"last_name"`
	Unsafe       optional `json:"unsafe_metadata"`
	Locale       *string  `json:"locale"`
	Legal        *bool    `json:"legal_accepted"`
	Ticket       string   `json:"ticket"`
	Transfer     bool     `json:"transfer"`
	Code         string   `json:"code"`
	Redirect     string   `json:"redirect_url"`
}

// createSignUp begins a sign-up, and completes it if nothing is missing.
func (e *Emulator) createSignUp(c *frontCall) (any, error) {
	var p signUpParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if err := e.oneSession(c); err != nil {
		return nil, err
	}
	a := &signUpAttempt{ID: e.random.id("sua"), Status: "missing_requirements", AbandonAt: e.clock.now().Add(attemptLife).UnixMilli()}
	if p.Transfer {
		if err := e.transfer(c, a); err != nil {
			return nil, err
		}
	}
	if err := e.describeSignUp(c, a, p); err != nil {
		return nil, err
	}
	e.needBrowser(c).SignUp = a
	return e.finishSignUp(c, a)
}

func (e *Emulator) finishSignUp(c *frontCall, a *signUpAttempt) (any, error) {
	if err := e.advanceSignUp(c, a); err != nil {
		return nil, err
	}
	e.touchBrowser(c.browser)
	return e.shownSignUp(a), nil
}

// transfer takes over the address that a sign-in of a person without an account has verified.
func (e *Emulator) transfer(c *frontCall, a *signUpAttempt) error {
	if c.browser == nil || c.browser.SignIn == nil || c.browser.SignIn.First == nil || c.browser.SignIn.First.Status != "transferable" {
		return fail(http.StatusBadRequest, "sign_up_no_external_account", "nothing to transfer", "There is no verified sign-in to continue as a sign-up.")
	}
	from := c.browser.SignIn
	k := *from.First
	k.Status = "verified"
	if isPhone(from.Identifier) {
		a.Phone, a.PhoneCheck = from.Identifier, &k
	} else {
		a.Email, a.EmailCheck = strings.ToLower(from.Identifier), &k
	}
	c.browser.SignIn = nil
	return nil
}

func (e *Emulator) describeSignUp(c *frontCall, a *signUpAttempt, p signUpParameters) error {
	switch p.Strategy {
	case "", "email_code", "phone_code", "email_link", "password":
	case "ticket":
		if err := e.signUpByTicket(a, p.Ticket); err != nil {
			return err
		}
	default:
		return e.noStrategy(c, p.Strategy)
	}
	if p.Either != nil {
		if strings.Contains(*p.Either, "@") {
			p.EmailAddress = p.Either
		} else {
			p.PhoneNumber = p.Either
		}
	}
	if err := e.identifySignUp(a, p); err != nil {
		return err
	}
	if err := e.describePerson(a, p); err != nil {
		return err
	}
	if p.Unsafe.set {
		if err := checkMetadata("unsafe_metadata", p.Unsafe.value); err != nil {
			return err
		}
		a.Unsafe = p.Unsafe.value
	}
	if or(p.Legal) && a.LegalAt == nil {
		a.LegalAt = new(e.clock.now().UnixMilli())
	}
	if p.Strategy == "email_code" || p.Strategy == "phone_code" || p.Strategy == "email_link" {
		return e.prepareSignUp(c, a, p)
	}
	return nil
}

// describePerson sets password and names, as far as they are enabled.
func (e *Emulator) describePerson(a *signUpAttempt, p signUpParameters) error {
	if or(p.Password) != "" {
		if e.options.Settings.attribute("password") == "off" {
			return unknownParameter("password")
		}
		if err := checkPassword("password", *p.Password); err != nil {
			return err
		}
		a.Password = hashPassword(*p.Password)
	}
	for _, x := range []struct {
		name string
		from *string
		to   *string
	}{{"first_name", p.FirstName, &a.FirstName}, {"last_name", p.LastName, &a.LastName}, {"locale", p.Locale, &a.Locale}} {
		if x.from == nil {
			continue
		}
		if *x.from != "" && x.name != "locale" && e.options.Settings.attribute(x.name) == "off" {
			return unknownParameter(x.name)
		}
		if err := checkName(x.name, *x.from); err != nil {
			return err
		}
		*x.to = strings.TrimSpace(*x.from)
	}
	return nil
}

// identifySignUp sets the identifiers, which must be valid, enabled and free.
func (e *Emulator) identifySignUp(a *signUpAttempt, p signUpParameters) error {
	for _, x := range []struct {
		name    string
		given   *string
		to      *string
		check   func(parameter, value string) error
		changed func()
	}{
		{"email_address", p.EmailAddress, &a.Email, checkEmail, func() { a.EmailCheck, a.Ticket, a.Public = nil, "", nil }}, // an invitation is for its address
		{"phone_number", p.PhoneNumber, &a.Phone, checkPhone, func() { a.PhoneCheck = nil }},
		{"username", p.Username, &a.Username, checkUsername, func() {}},
	} {
		if x.given == nil {
			continue
		}
		value := strings.TrimSpace(*x.given)
		if x.name == "email_address" {
			value = strings.ToLower(value)
		}
		if value == *x.to {
			continue
		}
		if value != "" {
			if e.options.Settings.attribute(x.name) == "off" {
				return unknownParameter(x.name)
			}
			if err := x.check(x.name, value); err != nil {
				return err
			}
			if e.users.byAddress[x.name+":"+strings.ToLower(value)] != nil {
				return taken(x.name)
			}
			if x.name != "username" && a.Ticket == "" { // the invited may sign up
				if err := e.maySignUp(x.name, value); err != nil {
					return err
				}
			}
		}
		*x.to = value
		x.changed()
	}
	return nil
}

func taken(name string) *APIError {
	long := "That " + strings.ReplaceAll(name, "_", " ") + " is taken. Please try another."
	return fail(http.StatusUnprocessableEntity, "form_identifier_exists", long, long).about(name)
}

// signUpByTicket takes the address of an invitation, which needs no verification.
func (e *Emulator) signUpByTicket(a *signUpAttempt, text string) error {
	t, err := e.findTicket(text)
	if err != nil {
		return err
	}
	if t.email() == "" {
		return fail(http.StatusBadRequest, "ticket_invalid_code", "ticket is invalid", "The ticket is for signing in.").about("ticket")
	}
	a.Email, a.Ticket = strings.ToLower(t.email()), text
	if e.users.byAddress["email_address:"+a.Email] != nil {
		return taken("email_address")
	}
	a.EmailCheck = &check{Strategy: "ticket", Status: "verified"}
	if t.invitation != nil {
		a.Public = t.invitation.PublicMetadata
	}
	return nil
}

// advanceSignUp creates the user and the session once nothing is missing.
func (e *Emulator) advanceSignUp(c *frontCall, a *signUpAttempt) error {
	if a.Status != "missing_requirements" || len(e.missingFields(a)) > 0 || len(a.unverified()) > 0 {
		return nil
	}
	now := e.clock.now().UnixMilli()
	r := e.newUser(now)
	a.describeUser(e, r, now)
	if err := e.unique(r, ""); err != nil {
		return err
	}
	var t ticket
	if a.Ticket != "" {
		var err error
		if t, err = e.findTicket(a.Ticket); err != nil {
			return err
		}
	}
	e.users.add(r)
	e.emit("user.created", e.after(r.UpdatedAt-1), e.json(r))
	e.arrived(r)
	_ = e.useTicket(t, r) // if the organization is full, its invitation stays as it is
	b := e.needBrowser(c)
	s := e.openSession(e.random.id("sess"), b.ID, r, nil, nil, false)
	a.Status, a.UserID, a.SessionID = "complete", r.ID, s.ID
	b.LastSession = s.ID
	return nil
}

func (a *signUpAttempt) describeUser(e *Emulator, r *userRecord, now int64) {
	r.FirstName, r.LastName, r.Username, r.Locale = text(a.FirstName), text(a.LastName), text(a.Username), text(a.Locale)
	r.UnsafeMetadata, r.PublicMetadata, r.LegalAcceptedAt = a.Unsafe, a.Public, a.LegalAt
	if a.Email != "" {
		r.addEmail(e.random, a.Email, now, e.verification(a.EmailCheck))
	}
	if a.Phone != "" {
		r.addPhone(e.random, a.Phone, now, e.verification(a.PhoneCheck))
	}
	if a.Password.Digest != "" {
		r.setPassword(a.Password, now)
	}
	r.depict()
}

// signUpOf returns the client's sign-up that the path names.
func (e *Emulator) signUpOf(c *frontCall) (*signUpAttempt, error) {
	if c.browser != nil && c.browser.SignUp != nil && c.browser.SignUp.ID == c.id() {
		a := c.browser.SignUp
		if a.Status == "missing_requirements" && e.clock.now().UnixMilli() >= a.AbandonAt {
			a.Status = "abandoned"
		}
		return a, nil
	}
	return nil, notFound("sign up", c.id())
}

func (e *Emulator) getSignUp(c *frontCall) (any, error) {
	a, err := e.signUpOf(c)
	if err != nil {
		return nil, err
	}
	return e.shownSignUp(a), nil
}

// signUpStep runs one step of a sign-up that is not complete, and then whatever follows from it.
func (e *Emulator) signUpStep(c *frontCall, run func(*signUpAttempt, signUpParameters) error) (any, error) {
	a, err := e.signUpOf(c)
	if err != nil {
		return nil, err
	}
	var p signUpParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if a.Status != "missing_requirements" {
		return nil, fail(http.StatusBadRequest, "client_state_invalid", "Invalid client state", "This sign up is "+a.Status+": the step is not possible now.")
	}
	if err := run(a, p); err != nil {
		return nil, err
	}
	return e.finishSignUp(c, a)
}

func (e *Emulator) updateSignUp(c *frontCall) (any, error) {
	return e.signUpStep(c, func(a *signUpAttempt, p signUpParameters) error {
		next := *a
		if err := e.describeSignUp(c, &next, p); err != nil {
			return err
		}
		*a = next
		return nil
	})
}

func (e *Emulator) prepareSignUpVerification(c *frontCall) (any, error) {
	return e.signUpStep(c, func(a *signUpAttempt, p signUpParameters) error { return e.prepareSignUp(c, a, p) })
}

func (e *Emulator) prepareSignUp(c *frontCall, a *signUpAttempt, p signUpParameters) error {
	switch {
	case p.Strategy == "":
		return missing("strategy")
	case p.Strategy == "email_code" && a.Email != "" && !isDone(a.EmailCheck):
		a.EmailCheck = e.prepared(a.EmailCheck, factor{Strategy: p.Strategy, SafeIdentifier: a.Email}, "")
	case p.Strategy == "phone_code" && a.Phone != "" && !isDone(a.PhoneCheck):
		a.PhoneCheck = e.prepared(a.PhoneCheck, factor{Strategy: p.Strategy, SafeIdentifier: a.Phone}, "")
	case p.Strategy == "email_link" && a.Email != "" && !isDone(a.EmailCheck):
		k, err := e.sendLinkCheck(c, factor{SafeIdentifier: a.Email}, "", p.Redirect)
		if err != nil {
			return err
		}
		a.EmailCheck = k
	case isDone(a.EmailCheck) && strings.HasPrefix(p.Strategy, "email_"), isDone(a.PhoneCheck) && p.Strategy == "phone_code":
		return fail(http.StatusBadRequest, "verification_already_verified", "already verified", "This verification has already been verified.")
	case p.Strategy == "email_code" || p.Strategy == "phone_code" || p.Strategy == "email_link":
		return fail(http.StatusBadRequest, "verification_missing", "missing verification", "The sign up has no address for this strategy.")
	default:
		return e.noStrategy(c, p.Strategy)
	}
	return nil
}

func isDone(k *check) bool { return k != nil && k.Status == "verified" }

func (e *Emulator) attemptSignUpVerification(c *frontCall) (any, error) {
	return e.signUpStep(c, func(a *signUpAttempt, p signUpParameters) error {
		switch p.Strategy {
		case "email_code":
			return e.try(a.EmailCheck, p.Strategy, p.Code)
		case "phone_code":
			return e.try(a.PhoneCheck, p.Strategy, p.Code)
		case "":
			return missing("strategy")
		}
		return e.noStrategy(c, p.Strategy)
	})
}
