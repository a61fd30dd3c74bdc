package emulator

import (
	"slices"
	"strings"
)

// matchingUsers returns the users that pass all filters of a request.
func (e *Emulator) matchingUsers(c *call, records []*userRecord) ([]*userRecord, error) {
	tests, err := e.userTests(c)
	if err != nil || len(tests) == 0 {
		return records, err
	}
	var matching []*userRecord
next:
	for _, r := range records {
		for _, test := range tests {
			if !test(r) {
				continue next
			}
		}
		matching = append(matching, r)
	}
	return matching, nil
}

// userTests returns the filters of a request of GET /users.
func (e *Emulator) userTests(c *call) ([]func(*userRecord) bool, error) {
	var tests []func(*userRecord) bool
	for name, values := range map[string]func(*userRecord) []string{
		"email_address": (*userRecord).emails, "phone_number": (*userRecord).phones, "web3_wallet": (*userRecord).wallets,
		"external_id":     func(r *userRecord) []string { return []string{or(r.ExternalID)} },
		"username":        func(r *userRecord) []string { return []string{or(r.Username)} },
		"user_id":         func(r *userRecord) []string { return []string{r.ID} },
		"organization_id": func(r *userRecord) []string { return e.organizations.of(r.ID) },
		"provider": func(r *userRecord) []string {
			return r.accounts(func(a ExternalAccount) string { return strings.TrimPrefix(a.Provider, "oauth_") })
		},
		"provider_user_id": func(r *userRecord) []string {
			return r.accounts(func(a ExternalAccount) string { return a.ProviderUserID })
		},
	} {
		f, err := c.filter(name)
		if err != nil {
			return nil, err
		}
		if !f.empty() {
			tests = append(tests, func(r *userRecord) bool { return f.match(values(r)...) })
		}
	}
	for name, values := range map[string]func(*userRecord) []string{
		"query": (*userRecord).words, "email_address_query": (*userRecord).emails, "phone_number_query": (*userRecord).phones,
		"username_query": func(r *userRecord) []string { return []string{or(r.Username)} },
		"name_query":     func(r *userRecord) []string { return []string{or(r.FirstName) + " " + or(r.LastName)} },
	} {
		if needle := strings.ToLower(c.query.Get(name)); needle != "" {
			tests = append(tests, func(r *userRecord) bool {
				return slices.ContainsFunc(values(r), func(v string) bool { return strings.Contains(strings.ToLower(v), needle) })
			})
		}
	}
	for name, value := range map[string]func(*userRecord) *int64{
		"last_active_at":  func(r *userRecord) *int64 { return r.LastActiveAt },
		"last_sign_in_at": func(r *userRecord) *int64 { return r.LastSignInAt },
		"created_at":      func(r *userRecord) *int64 { return &r.CreatedAt },
	} {
		s, err := c.span(name)
		if err != nil {
			return nil, err
		}
		if !s.everything() {
			tests = append(tests, func(r *userRecord) bool { return s.match(value(r)) })
		}
	}
	switch banned := c.query.Get("banned"); banned {
	case "":
	case "true", "false":
		tests = append(tests, func(r *userRecord) bool { return r.Banned == (banned == "true") })
	default:
		return nil, malformed("banned", "banned must be true or false.")
	}
	return tests, nil
}

func (r *userRecord) emails() []string {
	var all []string
	for _, a := range r.EmailAddresses {
		all = append(all, a.EmailAddress)
	}
	return all
}

func (r *userRecord) phones() []string {
	var all []string
	for _, p := range r.PhoneNumbers {
		all = append(all, p.PhoneNumber)
	}
	return all
}

func (r *userRecord) wallets() []string {
	var all []string
	for _, w := range r.Web3Wallets {
		all = append(all, w.Web3Wallet)
	}
	return all
}

func (r *userRecord) accounts(value func(ExternalAccount) string) []string {
	var all []string
	for _, a := range r.ExternalAccounts {
		all = append(all, value(a))
	}
	return all
}

// words returns what the parameter query searches.
func (r *userRecord) words() []string {
	return slices.Concat(r.emails(), r.phones(), r.wallets(), []string{
		r.ID, or(r.Username), or(r.FirstName), or(r.LastName), or(r.FirstName) + " " + or(r.LastName), or(r.ExternalID),
	})
}
