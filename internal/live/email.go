package live

// EmailVerified reports whether Clerk has verified the user's address; see
// mirror.User.EmailVerified. The body is read once for as long as the user is kept.
func (p *UserFacts) EmailVerified() bool {
	if v := p.verified.Load(); v != nil {
		return *v
	}
	v := p.Row.EmailVerified()
	p.verified.Store(&v)
	return v
}
