package row

import (
	"strconv"

	"github.com/clerksync/clerksync/clerk"
)

// The fields of a row that an operator can override. Package mirror describes them.
const (
	OverrideRole   = "role"
	OverrideBanned = "banned"
	OverrideStatus = "status"
)

// Overrides are the values that an operator set here, by field: canonical JSON such as
// {"role":"admin"}, or "" for none. They are a part of the row and not of Clerk's object: they
// change what the row shows, and never its body or its version.
type Overrides string

// Get returns the value of a field, "" if it is not overridden.
func (o Overrides) Get(field string) string {
	if o == "" {
		return ""
	}
	return o.object().Get(field).String()
}

// With returns the overrides with a field set to a value. The value "" removes the field.
func (o Overrides) With(field, value string) Overrides {
	object := o.object().Without(func(name string) bool { return name == field })
	if value != "" {
		object = object.With(field, clerk.Text(value))
	}
	if object.Len() == 0 {
		return ""
	}
	return Overrides(object.JSON())
}

// Fields returns the fields that are overridden, in order.
func (o Overrides) Fields() (fields []string) {
	if o == "" {
		return nil
	}
	for field := range o.object().All() {
		fields = append(fields, field)
	}
	return fields
}

// object returns the values by field. Text that clerksync did not write says nothing.
func (o Overrides) object() clerk.Value {
	if v, err := clerk.Parse([]byte(o)); err == nil && v.IsObject() {
		return v
	}
	return clerk.Object()
}

// UserRole returns the role of a user by a ladder. An overridden role stands for the one that the
// public metadata names: if the ladder lacks it, the user has the lowest role.
func (r *Row) UserRole(ladder []string) UserRole {
	if role := r.Overrides.Get(OverrideRole); role != "" {
		return RoleNamed(role, ladder)
	}
	return RoleOf(r.Body(), ladder)
}

// Banned reports whether a user is banned, here or at Clerk.
func (r *Row) Banned() bool {
	if banned := r.Overrides.Get(OverrideBanned); banned != "" {
		return banned == "true"
	}
	return r.Body().Get("banned").Bool()
}

// Status returns the status of a session.
func (r *Row) Status() string {
	if status := r.Overrides.Get(OverrideStatus); status != "" {
		return status
	}
	return r.Body().Get("status").String()
}

// Value returns what a row shows in a field that can be overridden.
func (r *Row) Value(field string, ladder []string) string {
	switch field {
	case OverrideRole:
		return r.UserRole(ladder).Role
	case OverrideBanned:
		return strconv.FormatBool(r.Banned())
	default:
		return r.Status()
	}
}
