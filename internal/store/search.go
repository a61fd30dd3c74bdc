package store

import (
	"cmp"
	"context"
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
		{"email", ""},
		{"substr(lower(email), 1, 100)", "email <> lower(email)"},
		phoneNumber,
		{"substr(lower(username), 1, 100)", "username IS NOT NULL"},
		{"substr(lower(first_name || ' ' || COALESCE(last_name, '')), 1, 100)", "first_name IS NOT NULL"},
		{"substr(lower(last_name || ' ' || COALESCE(first_name, '')), 1, 100)", "last_name IS NOT NULL"},
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

// searchLook is how many rows of each text a page of a search looks at, if there are conditions
// besides the text.
const searchLook = 500

// searchLookInUsers is [searchLook] for a condition that looks for another row for each row.
const searchLookInUsers = 100

// search returns the ids of a page of the rows that have a text which begins with prefix, ordered
// by these texts. A page may have fewer than its limit although there are more: with conditions, it
// looks at no more rows of each text than look.
func (db *DB) search(ctx context.Context, s *searchable, prefix string, w where, look int, after mirror.Cursor, limit int) (p mirror.Page[string], err error) {
	from, err := s.placeOf(prefix, after)
	if err != nil || prefix == "" {
		return p, err
	}
	size := pageSize(limit)
	end, cut, err := s.end(ctx, db, prefix, from, &w, min(look, db.lookBack))
	if err != nil {
		return p, err
	}
	for range searchRounds {
		q := searchQuery{searchable: s, where: &w, later: from.id != "", cut: cut}
		hits, err := db.hits(ctx, &q, prefix, from, end, size+1)
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
			if cut {
				p.Next = s.cursorOf(end)
			}
			return p, nil
		}
	}
	p.Next = s.cursorOf(from)
	return p, nil
}

// hits reads some hits after a place, no further than to the end if the query has one.
func (db *DB) hits(ctx context.Context, q *searchQuery, prefix string, from, end hit, n int) ([]hit, error) {
	args := append(slices.Clone(q.where.args), prefix, prefix+"\U0010FFFF", n)
	if q.later {
		args = append(args, from.text, from.id)
	}
	if q.cut {
		args[len(q.where.args)+1] = end.text
		args = append(args, end.id)
	}
	rows, err := db.query(ctx, q.text(), args...)
	return scanAll(rows, err, func(r Row) (h hit, err error) { return h, r.Scan(&h.text, &h.id, &h.again) })
}

// end returns how far a page of a search with conditions looks: to the first of the places behind
// some rows of each text. cut is false if there are no conditions, or fewer rows.
func (s *searchable) end(ctx context.Context, db *DB, prefix string, from hit, w *where, look int) (end hit, cut bool, err error) {
	if len(w.conditions) == 0 {
		return end, false, nil
	}
	var parts []string
	for _, t := range s.texts {
		e, conditions := t.expression, []string{t.expression + " >= $1", t.expression + " < $3", "(" + t.expression + ", " + s.id + ") > ($1, $2)"}
		if t.only != "" {
			conditions = append(conditions, t.only)
		}
		parts = append(parts, "SELECT hit, found FROM (SELECT "+e+" AS hit, "+s.id+" AS found FROM "+s.table+" WHERE "+
			strings.Join(conditions, " AND ")+" ORDER BY "+e+", "+s.id+" LIMIT 1 OFFSET $4) AS part")
	}
	text := "SELECT hit, found FROM (" + strings.Join(parts, " UNION ALL ") + ") AS united ORDER BY hit, found LIMIT 1"
	rows, err := db.query(ctx, text, from.text, from.id, prefix+"\U0010FFFF", look-1)
	found, err := scanAll(rows, err, func(r Row) (h hit, err error) { return h, r.Scan(&h.text, &h.id) })
	if err != nil || len(found) == 0 {
		return end, false, err
	}
	return found[0], true, nil
}

// searchQuery is the query of a page of hits: a later page, or one that has an end before the last
// text.
type searchQuery struct {
	*searchable
	where      *where
	later, cut bool
}

// text returns the text of a search. Its arguments are those of the conditions, then the first text
// and the end of the last one, how many hits to read, for a later page the place where it begins,
// and the id of the row where the look back ends. Each text has a query of its own, which reads no
// more of an index than one page has. On a later page it has two, because SQLite would read all
// rows with the text of the place again.
func (q *searchQuery) text() string {
	n := len(q.where.args)
	prefix, last, limit, fromText, fromID := param(n+1), param(n+2), param(n+3), param(n+4), param(n+5)
	endID := param(n + 4)
	if q.later {
		endID = param(n + 6)
	}
	var parts, earlier []string
	for _, t := range q.texts {
		e, conditions := t.expression, append(slices.Clone(q.where.conditions), "sync_hidden = 0")
		before := e + " >= " + prefix + " AND " + e + " < h.hit"
		if t.only != "" {
			conditions = append(conditions, t.only)
			before = t.only + " AND " + before
		}
		if q.cut { // with a second upper bound, SQLite could take the wrong one for the index
			conditions = append(conditions, fmt.Sprintf("%[1]s <= %[2]s AND (%[1]s < %[2]s OR %[3]s <= %[4]s)", e, last, q.id, endID))
		} else {
			conditions = append(conditions, e+" < "+last)
		}
		byText := " ORDER BY " + e + ", " + q.id
		places := []string{e + " >= " + prefix + byText}
		if q.later { // SQLite would sort rows with an equal text, if they were not ordered by id alone
			places = []string{e + " = " + fromText + " AND " + q.id + " > " + fromID + " ORDER BY " + q.id, e + " > " + fromText + byText}
		}
		for _, place := range places {
			parts = append(parts, "SELECT hit, found FROM (SELECT "+e+" AS hit, "+q.id+" AS found FROM "+q.table+" WHERE "+
				strings.Join(conditions, " AND ")+" AND "+place+" LIMIT "+limit+") AS part")
		}
		earlier = append(earlier, before)
	}
	hits := "SELECT hit, found FROM (" + strings.Join(parts, " UNION ") + ") AS united ORDER BY hit, found LIMIT " + limit
	return "SELECT h.hit, h.found, CASE WHEN " + strings.Join(earlier, " OR ") + " THEN 1 ELSE 0 END FROM (" + hits + ") AS h JOIN " +
		q.table + " t ON t." + q.id + " = h.found ORDER BY h.hit, h.found"
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
	switch {
	case err == nil:
		return db.searchedUser(ctx, user.ClerkUserID, f)
	case !errors.Is(err, ErrNotFound):
		return p, err
	}
	searched, prefix := &searchedUsers, searchPrefix(text)
	if digits, ok := phoneDigits(text); ok {
		searched, prefix = &searchedPhones, digits
	}
	few, err := db.fewUsers(ctx, f)
	if err != nil {
		return p, err
	}
	var w where
	w.ofSearched(f, few)
	var ids mirror.Page[string]
	switch {
	case few != (fewUsers{}):
		ids, err = db.searchFew(ctx, searched, prefix, w, f.After, f.Limit)
	case f.OrganizationID != "":
		ids, err = db.search(ctx, searched, prefix, w, searchLookInUsers, f.After, f.Limit)
	default:
		ids, err = db.search(ctx, searched, prefix, w, searchLook, f.After, f.Limit)
	}
	if err != nil {
		return p, err
	}
	users, err := db.UsersByClerkIDs(ctx, ids.Items)
	return inOrder(ids, users), err
}

// searchedUser returns a page with a user, if the filter selects the user.
func (db *DB) searchedUser(ctx context.Context, id string, f *mirror.UserFilter) (p mirror.Page[mirror.User], err error) {
	var w where
	w.add("clerk_user_id = ?", id)
	w.ofSearched(f, fewUsers{organization: true})
	p.Items, err = db.users(ctx, w.String(), w.args...)
	p.Items = append([]mirror.User{}, p.Items...)
	return p, err
}

// fewUsers says by which of its conditions a filter selects few users.
type fewUsers struct{ organization, role, inactive bool }

// ofSearched adds the conditions of a filter, without those of its search. Only one that selects
// few users may be looked up in an index: no other index has the order of a search.
func (w *where) ofSearched(f *mirror.UserFilter, few fewUsers) {
	switch {
	case f.Role == "":
	case few.role:
		w.add("role = ?", f.Role)
	default:
		w.add("role || '' = ?", f.Role)
	}
	switch {
	case f.OrganizationID == "":
	case few.organization:
		w.ofMembers(f.OrganizationID)
	default:
		w.add(`EXISTS (SELECT 1 FROM clerk_memberships m WHERE m.clerk_user_id = clerk_users.clerk_user_id
			AND m.clerk_organization_id || '' = ? AND m.sync_hidden = 0 `+eachRow+") AND "+standingOrganization, f.OrganizationID, f.OrganizationID)
	}
	switch {
	case f.Active == nil:
	case *f.Active:
		w.add("is_active + 0 = 1")
	case few.inactive:
		w.add(isInactive)
	default:
		w.add("is_active + 0 = 0")
	}
}

// fewUsers finds a condition of a filter that selects few users, if there is one.
func (db *DB) fewUsers(ctx context.Context, f *mirror.UserFilter) (few fewUsers, err error) {
	if f.OrganizationID != "" {
		few.organization, err = db.few(ctx, "clerk_memberships WHERE clerk_organization_id = $1", f.OrganizationID)
	}
	if err == nil && few == (fewUsers{}) && f.Role != "" {
		few.role, err = db.few(ctx, "clerk_users WHERE role = $1", f.Role)
	}
	if err == nil && few == (fewUsers{}) && f.Active != nil && !*f.Active {
		few.inactive, err = db.few(ctx, "clerk_users WHERE "+isInactive)
	}
	return few, err
}

// searchFew is [DB.search] among few rows: it looks at all that the conditions select.
func (db *DB) searchFew(ctx context.Context, s *searchable, prefix string, w where, after mirror.Cursor, limit int) (p mirror.Page[string], err error) {
	from, err := s.placeOf(prefix, after)
	if err != nil || prefix == "" {
		return p, err
	}
	w.add("sync_hidden = 0")
	first, last := param(len(w.args)+1), param(len(w.args)+2)
	args := append(slices.Clone(w.args), prefix, prefix+"\U0010FFFF")
	var matches, columns []string
	for _, t := range s.texts {
		e := "COALESCE(" + t.expression + ", '')"
		if t.only != "" {
			e = "CASE WHEN " + t.only + " THEN " + e + " ELSE '' END"
		}
		matches = append(matches, e+" >= "+first+" AND "+e+" < "+last)
		columns = append(columns, e)
	}
	w.conditions = append(w.conditions, "("+strings.Join(matches, " OR ")+")")
	rows, err := db.query(ctx, "SELECT "+s.id+", "+strings.Join(columns, ", ")+" FROM "+s.table+w.String(), args...)
	hits, err := scanAll(rows, err, func(r Row) (hit, error) { return scanTexts(r, len(columns), prefix) })
	if err != nil {
		return p, err
	}
	slices.SortFunc(hits, func(a, b hit) int { return cmp.Or(strings.Compare(a.text, b.text), strings.Compare(a.id, b.id)) })
	for _, h := range hits {
		switch {
		case h.text < from.text || h.text == from.text && h.id <= from.id:
		case len(p.Items) == pageSize(limit):
			p.Next = s.cursorOf(from)
			return p, nil
		default:
			p.Items, from = append(p.Items, h.id), h
		}
	}
	return p, nil
}

// scanTexts reads a row of an id and some texts, as a hit by the first of the texts that begin with
// a prefix.
func scanTexts(r Row, n int, prefix string) (h hit, err error) {
	texts := make([]string, n)
	into := []any{&h.id}
	for i := range texts {
		into = append(into, &texts[i])
	}
	err = r.Scan(into...)
	for _, text := range texts {
		if strings.HasPrefix(text, prefix) && (h.text == "" || text < h.text) {
			h.text = text
		}
	}
	return h, err
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
	ids, err := db.search(ctx, &searchedOrganizations, searchPrefix(text), where{}, searchLook, f.After, f.Limit)
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
