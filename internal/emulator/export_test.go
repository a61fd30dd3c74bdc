package emulator

// Routes are the patterns of all endpoints of the Backend API that are implemented.
func Routes() []string {
	var patterns []string
	for _, r := range apiRoutes() {
		patterns = append(patterns, r.method+" /v1"+r.path)
	}
	return patterns
}

// FrontendRoutes are the patterns of all endpoints of the Frontend API that are implemented.
func FrontendRoutes() []string {
	var patterns []string
	for _, r := range frontendRoutes() {
		patterns = append(patterns, r.method+" "+r.path)
	}
	return patterns
}

// OAuthRoutes are the patterns of all endpoints of the identity provider.
func OAuthRoutes() []string {
	var patterns []string
	for _, r := range oauthRoutes() {
		patterns = append(patterns, r.method+" "+r.path)
	}
	return patterns
}

// TOTPCode is the code that an authenticator app shows.
var TOTPCode = totpCode

// Admit returns why a sign-up with an address or a number is refused, or nil.
func (e *Emulator) Admit(value string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.maySignUp("identifier", value)
}

// PasswordMatches reports whether a user signs in with a password.
func PasswordMatches(e *Emulator, user, password string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	ok, err := e.users.byID[user].secret.Password.matches(password)
	return ok && err == nil
}

// FixtureFile is the content of a fixtures file.
type FixtureFile = fixtureFile
