package emulator

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// WaitlistEntry is the wish of someone to be invited.
type WaitlistEntry struct {
	Object       string      `json:"object"`
	ID           string      `json:"id"`
	EmailAddress string      `json:"email_address"`
	Status       string      `json:"status"` // pending, invited, completed or rejected
	IsLocked     bool        `json:"is_locked"`
	CreatedAt    int64       `json:"created_at"`
	UpdatedAt    int64       `json:"updated_at"`
	Invitation   *Invitation `json:"invitation"`
}

type waitlistParameters struct {
	EmailAddress string `json:"email_address"`
	Notify       *bool  `json:"notify"` // true by default
}

// maxBulk is how many entries are created at once at most.
const maxBulk = 50

// wait puts an address onto the waitlist. The entry of an address that waits already is returned as
// it is.
func (e *Emulator) wait(p waitlistParameters) (*WaitlistEntry, error) {
	if p.EmailAddress == "" {
		return nil, missing("email_address")
	}
	if err := checkEmail("email_address", p.EmailAddress); err != nil {
		return nil, err
	}
	if w := e.waiting(p.EmailAddress); w != nil {
		return w, nil
	}
	now := e.after(0)
	w := &WaitlistEntry{
		Object: "waitlist_entry", ID: e.random.id("wle"), EmailAddress: strings.ToLower(p.EmailAddress), Status: "pending", CreatedAt: now, UpdatedAt: now,
	}
	e.policies.Waitlist = append(e.policies.Waitlist, w)
	e.emit("waitlistEntry.created", now, w)
	if p.Notify == nil || *p.Notify {
		e.post(Mail{
			Kind: "email", To: w.EmailAddress, Slug: "waitlist_confirmation", Subject: "You have been added to the waitlist",
			Body: "You have been added to the waitlist of " + applicationName + ".",
		})
	}
	return w, nil
}

// waiting returns the entry of an address, or nil.
func (e *Emulator) waiting(address string) *WaitlistEntry {
	for _, w := range e.policies.Waitlist {
		if strings.EqualFold(w.EmailAddress, address) {
			return w
		}
	}
	return nil
}

// moved gives an entry another status, with its event.
func (e *Emulator) moved(w *WaitlistEntry, status string) *WaitlistEntry {
	w.Status, w.UpdatedAt = status, e.after(w.UpdatedAt)
	e.emit("waitlistEntry.updated", w.UpdatedAt, w)
	return w
}

// arrived completes the entries of the waitlist of a new user's addresses.
func (e *Emulator) arrived(r *userRecord) {
	for _, a := range r.EmailAddresses {
		if w := e.waiting(a.EmailAddress); w != nil && w.Status == "invited" {
			e.moved(w, "completed")
		}
	}
}

// joinWaitlist serves pages on which people ask to be invited. Its answer has no client.
func (e *Emulator) joinWaitlist(c *frontCall) (any, error) {
	var p struct {
		EmailAddress string `json:"email_address"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	w, err := e.wait(waitlistParameters{EmailAddress: strings.TrimSpace(p.EmailAddress)})
	if err != nil {
		return nil, err
	}
	return bare{values{"object": w.Object, "id": w.ID}}, nil
}

func (e *Emulator) createWaitlistEntry(c *call) (any, error) {
	var p waitlistParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	return some(e.wait(p))
}

// createWaitlistEntries creates all entries, or none if one is refused.
func (e *Emulator) createWaitlistEntries(c *call) (any, error) {
	var all []waitlistParameters
	if err := c.decode(&all); err != nil {
		return nil, err
	}
	if len(all) > maxBulk {
		return nil, fail(http.StatusUnprocessableEntity, "form_param_array_size_exceeded", "exceeds maximum size",
			fmt.Sprintf("waitlist_entries should not exceed %d items.", maxBulk))
	}
	seen := map[string]bool{}
	for _, p := range all {
		if p.EmailAddress == "" {
			return nil, missing("email_address")
		}
		if err := checkEmail("email_address", p.EmailAddress); err != nil {
			return nil, err
		}
		if seen[strings.ToLower(p.EmailAddress)] {
			return nil, fail(http.StatusUnprocessableEntity, "form_param_duplicate", "duplicate values",
				"email_address contains duplicate values").about("email_address")
		}
		seen[strings.ToLower(p.EmailAddress)] = true
	}
	made := []*WaitlistEntry{}
	for _, p := range all {
		w, err := e.wait(p)
		if err != nil {
			return nil, err
		}
		made = append(made, w)
	}
	return made, nil
}

func (e *Emulator) listWaitlist(c *call) (any, error) {
	status, query := c.query.Get("status"), strings.ToLower(c.query.Get("query"))
	if !slices.Contains([]string{"", "pending", "invited", "completed", "rejected"}, status) {
		return nil, invalid("status", status+" does not match one of the allowed values for parameter status")
	}
	matching := []*WaitlistEntry{}
	for _, w := range e.policies.Waitlist {
		if (status == "" || w.Status == status) && strings.Contains(w.EmailAddress, query) {
			matching = append(matching, w)
		}
	}
	if err := sorted(c, matching, "-created_at", map[string]func(a, b *WaitlistEntry) int{
		"created_at":    func(a, b *WaitlistEntry) int { return cmp.Compare(a.CreatedAt, b.CreatedAt) },
		"email_address": func(a, b *WaitlistEntry) int { return cmp.Compare(a.EmailAddress, b.EmailAddress) },
		"invited_at":    func(a, b *WaitlistEntry) int { return cmp.Compare(a.invitedAt(), b.invitedAt()) },
	}); err != nil {
		return nil, err
	}
	return paged(c, matching, false)
}

func (w *WaitlistEntry) invitedAt() int64 {
	if w.Invitation == nil {
		return 0
	}
	return w.Invitation.CreatedAt
}

// waitlistEntry returns the entry that the path names, unless it has one of some statuses.
func (e *Emulator) waitlistEntry(c *call, except ...string) (*WaitlistEntry, error) {
	for _, w := range e.policies.Waitlist {
		if w.ID != c.id() {
			continue
		}
		if slices.Contains(except, w.Status) {
			return nil, fail(http.StatusConflict, "waitlist_entry_already_"+w.Status, "Waitlist entry already "+w.Status,
				"The waitlist entry has already been "+w.Status+".")
		}
		return w, nil
	}
	return nil, notFound("waitlist entry", c.id())
}

func (e *Emulator) deleteWaitlistEntry(c *call) (any, error) {
	w, err := e.waitlistEntry(c, "invited", "completed", "rejected")
	if err != nil {
		return nil, err
	}
	e.policies.Waitlist = slices.DeleteFunc(e.policies.Waitlist, func(x *WaitlistEntry) bool { return x == w })
	e.changed = true
	return Deleted{Object: "waitlist_entry", ID: w.ID, Deleted: true}, nil
}

// inviteWaitlistEntry invites who waits, by an invitation to the instance.
func (e *Emulator) inviteWaitlistEntry(c *call) (any, error) {
	var p struct {
		IgnoreExisting *bool `json:"ignore_existing"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	except := []string{"completed"}
	if !or(p.IgnoreExisting) {
		except = append(except, "invited")
	}
	w, err := e.waitlistEntry(c, except...)
	if err != nil {
		return nil, err
	}
	i, err := e.inviteToInstance(invitationParameters{EmailAddress: w.EmailAddress, IgnoreExists: p.IgnoreExisting, Template: new("waitlist_invitation")})
	if err != nil {
		return nil, err
	}
	w.Invitation = i
	return e.moved(w, "invited"), nil
}

func (e *Emulator) rejectWaitlistEntry(c *call) (any, error) {
	w, err := e.waitlistEntry(c, "invited", "completed", "rejected")
	if err != nil {
		return nil, err
	}
	return e.moved(w, "rejected"), nil
}
