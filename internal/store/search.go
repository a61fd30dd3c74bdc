package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/mirror"
)

// searchable is a kind of rows that a search finds by the beginning of some texts.
type searchable struct {
	list      string // as cursors name it
	table, id string
	texts     []searchText
}

// searchText is an expression with an index in the schema. The text of both must be the same. only
// is the condition of the index, if it is partial.
type searchText struct{ expression, only string }

var searchedUsers = searchable{
	usersSearch, "clerk_users", "clerk_user_id", slices.Concat([]searchText{
		{"substr(lower(email), 1, 100)", ""},
		phoneNumber,
		{"substr(lower(username), 1, 100)", ""},
		{"substr(lower(COALESCE(first_name, '') || ' ' || COALESCE(last_name, '')), 1, 100)", ""},
		{"substr(lower(COALESCE(last_name, '') || ' ' || COALESCE(first_name, '')), 1, 100)", ""},
	}, laterWords("first_name"), laterWords("last_name")),
}

var phoneNumber = searchText{"substr(ltrim(phone, '+'), 1, 100)", "phone IS NOT NULL"}

// searchedPhones are the users by their phone number alone, for a text that begins with "+".
var searchedPhones = searchable{usersSearch, "clerk_users", "clerk_user_id", []searchText{phoneNumber}}

var searchedOrganizations = searchable{
	organizationsSearch, "clerk_organizations", "clerk_organization_id",
	[]searchText{{"substr(lower(slug), 1, 100)", ""}, {"substr(lower(name), 1, 100)", ""}},
}

// laterWords returns the texts that begin with the second and with the last word of a column, for
// rows that have such words. To trim the characters of all words, without spaces, removes one word.
func laterWords(column string) []searchText {
	text := "substr(lower(" + column + "), 1, 100)"
	letters := "replace(" + text + ", ' ', '')"
	spaces := "length(" + column + ") - length(replace(" + column + ", ' ', ''))"
	return []searchText{
		{"ltrim(ltrim(" + text + ", " + letters + "), ' ')", spaces + " > 0"},
		{"substr(" + text + ", length(rtrim(" + text + ", " + letters + ")) + 1)", spaces + " > 1"},
	}
}

// maxSearch is how many characters of a text are indexed.
const maxSearch = 100

// lowerASCII returns a text as the function lower of both engines does, which know no other
// letters.
func lowerASCII(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, text)
}

// searchPrefix returns what a search looks for: its words in lower case.
func searchPrefix(text string) string {
	characters := []rune(strings.Join(strings.Fields(lowerASCII(text)), " "))
	return string(characters[:min(len(characters), maxSearch)])
}

// phoneDigits returns the digits of a text that can be the beginning of a phone number with "+", in
// any of the ways in which people write one.
func phoneDigits(text string) (digits string, ok bool) {
	number, plus := strings.CutPrefix(strings.TrimSpace(text), "+")
	if !plus {
		return "", false
	}
	for _, r := range number {
		switch {
		case r >= '0' && r <= '9':
			digits += string(r)
		case !strings.ContainsRune(" -./()\u00a0", r):
			return "", false
		}
	}
	return digits, digits != "" && len(digits) <= maxPhone
}

// maxPhone is more than the digits of any phone number.
const maxPhone = 20

// hit is a row that a search has found, by a text of it.
type hit struct {
	text, id string
	again    bool // it is found by a text before this one too
}

// searchRounds bounds how many pages of hits are read for one page of results.
const searchRounds = 10

// search returns the ids of a page of the rows that have a text which begins with prefix, ordered
// by these texts. A page may have fewer than its limit although there are more.
func (db *DB) search(ctx context.Context, s *searchable, prefix string, w where, after mirror.Cursor, limit int) (p mirror.Page[string], err error) {
	from, err := s.placeOf(prefix, after)
	if err != nil || prefix == "" {
		return p, err
	}
	size := pageSize(limit)
	for range searchRounds {
		args, later := append(slices.Clone(w.args), prefix, prefix+"\U0010FFFF", size+1), from.id != ""
		if later {
			args = append(args, from.text, from.id)
		}
		rows, err := db.query(ctx, s.query(&w, later), args...)
		hits, err := scanAll(rows, err, func(r *sql.Rows) (h hit, err error) { return h, r.Scan(&h.text, &h.id, &h.again) })
		if err != nil {
			return p, err
		}
		for _, h := range hits {
			if !h.again {
				if len(p.Items) == size {
					p.Next = s.cursorOf(from)
					return p, nil
				}
				p.Items = append(p.Items, h.id)
			}
			from = h
		}
		if len(hits) <= size {
			return p, nil
		}
	}
	p.Next = s.cursorOf(from)
	return p, nil
}

// query returns the text of a search. Its arguments are those of the conditions, then the first
// and the last text, how many hits to read, and for a later page the place where it begins. Each
// text has a query of its own, which reads no more of an index than one page has. On a later page
// it has two, because SQLite would read all rows with the text of the place again.
func (s *searchable) query(w *where, later bool) string {
	n := len(w.args)
	prefix, last, limit, fromText, fromID := param(n+1), param(n+2), param(n+3), param(n+4), param(n+5)
	var parts, earlier []string
	for _, t := range s.texts {
		e, conditions := t.expression, append(slices.Clone(w.conditions), "sync_hidden = 0", t.expression+" < "+last)
		before := e + " >= " + prefix + " AND " + e + " < h.hit"
		if t.only != "" {
			conditions = append(conditions, t.only)
			before = t.only + " AND " + before
		}
		byText := " ORDER BY " + e + ", " + s.id
		places := []string{e + " >= " + prefix + byText}
		if later { // SQLite would sort rows with an equal text, if they were not ordered by id alone
			places = []string{e + " = " + fromText + " AND " + s.id + " > " + fromID + " ORDER BY " + s.id, e + " > " + fromText + byText}
		}
		for _, place := range places {
			parts = append(parts, "SELECT hit, found FROM (SELECT "+e+" AS hit, "+s.id+" AS found FROM "+s.table+" WHERE "+
				strings.Join(conditions, " AND ")+" AND "+place+" LIMIT "+limit+") AS part")
		}
		earlier = append(earlier, before)
	}
	hits := "SELECT hit, found FROM (" + strings.Join(parts, " UNION ") + ") AS united ORDER BY hit, found LIMIT " + limit
	return "SELECT h.hit, h.found, CASE WHEN " + strings.Join(earlier, " OR ") + " THEN 1 ELSE 0 END FROM (" + hits + ") AS h JOIN " +
		s.table + " t ON t." + s.id + " = h.found ORDER BY h.hit, h.found"
}

func param(n int) string { return params(n, n) }

// placeOf reads a cursor of a search for a prefix.
func (s *searchable) placeOf(prefix string, c mirror.Cursor) (hit, error) {
	p, found, err := placeOf(s.list, c)
	if err != nil || !found {
		return hit{text: prefix}, err
	}
	end := strings.LastIndexByte(p.id, '\n')
	if end < 0 || !strings.HasPrefix(p.id[:end], prefix) {
		return hit{}, fmt.Errorf("%q is %w", string(c), ErrInvalidCursor)
	}
	return hit{text: p.id[:end], id: p.id[end+1:]}, nil
}

func (s *searchable) cursorOf(h hit) mirror.Cursor {
	return cursorOf(s.list, place{id: h.text + "\n" + h.id})
}

// searchUsers returns a page of the live users that a search finds. An id finds its user alone.
func (db *DB) searchUsers(ctx context.Context, f *mirror.UserFilter) (p mirror.Page[mirror.User], err error) {
	text := strings.TrimSpace(f.Search)
	user, err := db.UserByClerkID(ctx, text)
	if errors.Is(err, ErrNotFound) {
		user, err = db.UserByID(ctx, text)
	}
	var w where
	w.ofUsers(f, "role || ''") // never by the index on roles, which has no order by texts
	switch {
	case err == nil:
		byID := where{}
		byID.ofUsers(f, "role")
		byID.add("clerk_user_id = ?", user.ClerkUserID)
		p.Items, err = db.users(ctx, byID.String(), byID.args...)
		p.Items = append([]mirror.User{}, p.Items...)
		return p, err
	case !errors.Is(err, ErrNotFound):
		return p, err
	}
	searched, prefix := &searchedUsers, searchPrefix(text)
	if digits, ok := phoneDigits(text); ok {
		searched, prefix = &searchedPhones, digits
	}
	ids, err := db.search(ctx, searched, prefix, w, f.After, f.Limit)
	if err != nil {
		return p, err
	}
	users, err := db.UsersByClerkIDs(ctx, ids.Items)
	return inOrder(ids, users), err
}

// searchOrganizations returns a page of the live organizations that a search finds. An id finds its
// organization alone.
func (db *DB) searchOrganizations(ctx context.Context, f *mirror.OrganizationFilter) (p mirror.Page[mirror.Organization], err error) {
	text := strings.TrimSpace(f.Search)
	switch o, err := db.Organization(ctx, text); {
	case err == nil:
		return mirror.Page[mirror.Organization]{Items: []mirror.Organization{o}}, nil
	case !errors.Is(err, ErrNotFound):
		return p, err
	}
	ids, err := db.search(ctx, &searchedOrganizations, searchPrefix(text), where{}, f.After, f.Limit)
	if err != nil {
		return p, err
	}
	organizations, err := db.OrganizationsByClerkIDs(ctx, ids.Items)
	return inOrder(ids, organizations), err
}

// inOrder returns the records of a page of ids, those that are still live.
func inOrder[T any](ids mirror.Page[string], records map[string]T) mirror.Page[T] {
	p := mirror.Page[T]{Items: []T{}, Next: ids.Next}
	for _, id := range ids.Items {
		if record, ok := records[id]; ok {
			p.Items = append(p.Items, record)
		}
	}
	return p
}
