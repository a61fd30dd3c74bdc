package clerk

// PrimaryAddress returns the entry of email_addresses that a user object names as primary. It is
// absent where the object says null or names none of them. Older and partial objects have no such
// key: then it is the first entry.
func PrimaryAddress(user Value) Value {
	primary := user.Get("primary_email_address_id")
	for _, a := range user.Get("email_addresses").All() {
		if !primary.Exists() || primary.String() != "" && a.Get("id").String() == primary.String() {
			return a
		}
	}
	return Value{}
}
