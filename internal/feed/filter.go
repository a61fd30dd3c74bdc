package feed

import (
	"fmt"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// filter is what a query selects.
type filter struct {
	types          map[changeType]bool // nil selects all
	userID         string
	organizationID string
}

// changeType is the kind and the operation of a change.
type changeType struct {
	kind      clerk.Kind
	operation mirror.Operation
}

func (t changeType) name() string { return mirror.Change{Kind: t.kind, Operation: t.operation}.Type() }

// operations are those of changes. [mirror.Read] is none.
func operations() []mirror.Operation {
	return []mirror.Operation{mirror.Created, mirror.Updated, mirror.Deleted, mirror.Erased}
}

// newFilter checks the filters of a query. A kind or a type that does not exist is an error, since
// waiting for it would never end.
func newFilter(q *mirror.FeedQuery) (filter, error) {
	f := filter{userID: q.ClerkUserID, organizationID: q.ClerkOrganizationID}
	if len(q.Kinds) == 0 && len(q.Types) == 0 {
		return f, nil
	}
	if err := checkKinds(q.Kinds); err != nil {
		return f, err
	}
	f.types = map[changeType]bool{}
	for _, kind := range clerk.Kinds() {
		if len(q.Kinds) > 0 && !slices.Contains(q.Kinds, kind) {
			continue
		}
		for _, operation := range operations() {
			t := changeType{kind, operation}
			if len(q.Types) == 0 || slices.Contains(q.Types, t.name()) || slices.Contains(q.Types, string(kind)+".*") {
				f.types[t] = true
			}
		}
	}
	for _, name := range q.Types {
		kind, operation, _ := strings.Cut(name, ".")
		if !slices.Contains(clerk.Kinds(), clerk.Kind(kind)) || operation != "*" && !slices.Contains(operations(), mirror.Operation(operation)) {
			return f, fmt.Errorf("%w: there is no type %q of changes; use e.g. user.created or user.*", mirror.ErrInvalidFilter, name)
		}
	}
	if len(f.types) == 0 {
		return f, fmt.Errorf("%w: none of the types %s is one of a kind that is selected", mirror.ErrInvalidFilter, strings.Join(q.Types, ", "))
	}
	return f, nil
}

func checkKinds(kinds []clerk.Kind) error {
	for _, kind := range kinds {
		if !slices.Contains(clerk.Kinds(), kind) {
			return fmt.Errorf("%w: there is no kind %q of objects", mirror.ErrInvalidFilter, string(kind))
		}
	}
	return nil
}

// selectsAll reports whether every change is wanted.
func (f *filter) selectsAll() bool { return f.types == nil && f.userID == "" && f.organizationID == "" }

// selects reports whether a change is wanted.
func (f *filter) selects(c *mirror.Change) bool {
	return (f.types == nil || f.types[changeType{c.Kind, c.Operation}]) &&
		(f.userID == "" || f.userID == c.ClerkUserID) && (f.organizationID == "" || f.organizationID == c.ClerkOrganizationID)
}

// typeList returns the wanted types as [store.FeedWindow] takes them.
func (f *filter) typeList() string {
	if f.types == nil {
		return ""
	}
	list := ","
	for t := range f.types {
		list += t.name() + ","
	}
	return list
}
