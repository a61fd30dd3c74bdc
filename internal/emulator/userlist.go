package emulator

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
)

func (e *Emulator) countUsers(c *call) (any, error) {
	matching, err := e.matchingUsers(c, e.users.created)
	if err != nil {
		return nil, err
	}
	return map[string]any{"object": "total_count", "total_count": len(matching)}, nil
}

func (e *Emulator) listUsers(c *call) (any, error) {
	limit, offset, err := c.window()
	if err != nil {
		return nil, err
	}
	order := c.query.Get("order_by")
	cursor := c.query.Get("starting_after")
	name := strings.TrimLeft(order, "+- ")
	if cursor != "" && (offset > 0 || name != "" && name != "created_at") {
		return nil, invalid("starting_after", "starting_after works with ordering by created_at and without offset.")
	}
	records, err := e.sortUsers(order)
	if err != nil {
		return nil, err
	}
	if cursor != "" {
		at, err := e.user(cursor)
		if err != nil {
			return nil, err
		}
		records = records[slices.Index(records, at)+1:]
	}
	if records, err = e.matchingUsers(c, records); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteByte('[')
	for i, r := range cut(records, limit, offset) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(e.json(r))
	}
	b.WriteByte(']')
	return raw(b.Bytes()), nil
}

// sortUsers returns all users in an order. It sorts once between changes.
func (e *Emulator) sortUsers(order string) ([]*userRecord, error) {
	descending := order == "" || strings.HasPrefix(order, "-")
	name := strings.TrimLeft(order, "+- ") // a literal + arrives as a space
	if name == "" {
		name = "created_at"
	}
	if name == "created_at" && !descending {
		return e.users.created, nil
	}
	key := name + map[bool]string{true: "-", false: "+"}[descending]
	if known, ok := e.users.sorted[key]; ok && known.generation == e.users.generation {
		return known.records, nil
	}
	records := slices.Clone(e.users.created)
	if name != "created_at" {
		compare, ok := userOrders()[name]
		if !ok {
			return nil, invalid("order_by", "order_by does not take "+name+".")
		}
		slices.SortStableFunc(records, compare)
	}
	if descending {
		slices.Reverse(records)
	}
	e.users.sorted[key] = sortedUsers{e.users.generation, records}
	return records, nil
}

func userOrders() map[string]func(a, b *userRecord) int {
	by := func(value func(*userRecord) string) func(a, b *userRecord) int {
		return func(a, b *userRecord) int { return cmp.Compare(value(a), value(b)) }
	}
	at := func(value func(*userRecord) *int64) func(a, b *userRecord) int {
		return func(a, b *userRecord) int { return cmp.Compare(or(value(a)), or(value(b))) }
	}
	return map[string]func(a, b *userRecord) int{
		"updated_at":     func(a, b *userRecord) int { return cmp.Compare(a.UpdatedAt, b.UpdatedAt) },
		"last_active_at": at(func(r *userRecord) *int64 { return r.LastActiveAt }), "last_sign_in_at": at(func(r *userRecord) *int64 { return r.LastSignInAt }),
		"first_name":    by(func(r *userRecord) string { return strings.ToLower(or(r.FirstName)) }),
		"last_name":     by(func(r *userRecord) string { return strings.ToLower(or(r.LastName)) }),
		"username":      by(func(r *userRecord) string { return strings.ToLower(or(r.Username)) }),
		"email_address": by(func(r *userRecord) string { return or(r.primary()) }),
		"phone_number": by(func(r *userRecord) string {
			if len(r.PhoneNumbers) == 0 {
				return ""
			}
			return r.PhoneNumbers[0].PhoneNumber
		}),
		"web3wallet": by(func(r *userRecord) string {
			if len(r.Web3Wallets) == 0 {
				return ""
			}
			return r.Web3Wallets[0].Web3Wallet
		}),
	}
}
