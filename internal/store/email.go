package store

import "github.com/clerksync/clerksync/clerk"

const statusVerified = "verified"

// EmailVerified reports whether Clerk has verified that Email is the user's. It reads the body, so that it costs more than
// a column, and is false where the body does not say it of this very address.
func (u *User) EmailVerified() bool {
	if u.Email == "" || len(u.Raw) == 0 {
		return false
	}
	body, err := clerk.Parse(u.Raw)
	if err != nil {
		return false
	}
	address := primaryAddress(body)
	return address.Get("email_address").String() == u.Email && address.Get("verification").Get("status").String() == statusVerified
}

// primaryAddress is the address that the primary id points at, absent where that is null or points at nothing. Only where
// Clerk's object has no such key at all (older and partial ones) it is the first address.
func primaryAddress(user clerk.Value) clerk.Value {
	primary := user.Get("primary_email_address_id")
	for _, a := range user.Get("email_addresses").All() {
		if !primary.Exists() || primary.String() != "" && a.Get("id").String() == primary.String() {
			return a
		}
	}
	return clerk.Value{}
}
