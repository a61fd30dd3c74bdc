package console

import (
	"strings"

	"github.com/clerksync/clerksync/clerk"
)

// object is an object of the mirror as pages name it.
type object struct {
	Kind  string
	ID    string
	Label string // a name or an address, empty if none is known
	Href  string // its page, empty if there is none
}

// reference names an object by its kind and its id.
type reference struct {
	kind clerk.Kind
	id   string
}

// objects returns what pages call some objects. The names of all of them take two reads.
func (v *visit) objects(references []reference) (map[reference]object, error) {
	var users, organizations []string
	for _, r := range references {
		switch r.kind {
		case clerk.KindUser:
			users = append(users, r.id)
		case clerk.KindOrganization:
			organizations = append(organizations, r.id)
		default:
		}
	}
	foundUsers, err := v.mirror.Users().ByClerkIDs(v.r.Context(), users)
	if err != nil {
		return nil, err
	}
	foundOrganizations, err := v.mirror.Organizations().ByClerkIDs(v.r.Context(), organizations)
	if err != nil {
		return nil, err
	}
	all := map[reference]object{}
	for _, r := range references {
		o := v.object(r.kind, r.id)
		if u, ok := foundUsers[r.id]; ok && r.kind == clerk.KindUser {
			o.Label = personName(u)
		}
		if found, ok := foundOrganizations[r.id]; ok && r.kind == clerk.KindOrganization {
			o.Label = found.Name
		}
		all[r] = o
	}
	return all, nil
}

// object returns what pages call an object whose name is not looked up.
func (h *handler) object(kind clerk.Kind, id string) object {
	o := object{Kind: kindName(kind), ID: id}
	switch kind {
	case clerk.KindUser:
		o.Href = h.to("users", id)
	case clerk.KindOrganization:
		o.Href = h.to("organizations", id)
	case clerk.KindSession:
		o.Href = h.to("sessions", id)
	default:
	}
	return o
}

// kindName returns a kind in words.
func kindName(k clerk.Kind) string {
	return strings.ReplaceAll(strings.TrimPrefix(string(k), "organization_"), "_", " ")
}

// subjectOf reads a subject of a delivery, such as "user:user_2aKVM".
func subjectOf(text string) (reference, bool) {
	kind, id, found := strings.Cut(text, ":")
	return reference{clerk.Kind(kind), id}, found && id != ""
}

// joined returns names as a list for people.
func joined(names []string) string { return strings.Join(names, ", ") }

// kindSelect is the filter of a list by kind.
func (v *visit) kindSelect(kinds []clerk.Kind) selectField {
	f := selectField{Name: "kind", Label: "Kind", Options: []choice{{Label: "Any kind"}}}
	for _, k := range kinds {
		f.Options = append(f.Options, choice{Value: string(k), Label: kindName(k), Selected: string(k) == v.query("kind")})
	}
	return f
}

// kindPlural returns the plural of a kind in words.
func kindPlural(k clerk.Kind) string {
	name := kindName(k)
	if rest, ok := strings.CutSuffix(name, "y"); ok {
		return rest + "ies"
	}
	return name + "s"
}

// fullSentence returns a text with a capital at its beginning and a full stop at its end.
func fullSentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.TrimSuffix(sentence(text), ".") + "."
}
