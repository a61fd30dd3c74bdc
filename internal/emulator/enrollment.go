package emulator

import (
	"cmp"
	"net/http"
	"slices"
)

// suggestion offers a person with an address of a domain to join the domain's organization. When
// the person accepts, it becomes a membership request, which a manager of the organization accepts
// or rejects.
type suggestion struct {
	ID             string `json:"id"`
	OrganizationID string `json:"organization_id"`
	DomainID       string `json:"domain_id"`
	UserID         string `json:"user_id"`
	Status         string `json:"status"` // pending; accepted: requested; completed; rejected
	CreatedAt      int64  `json:"created_at"`
	UpdatedAt      int64  `json:"updated_at"`
}

// enroll makes the offers of verified domains to a person with a verified address in them:
// invitations or suggestions, as the domain's mode says. Whoever got one before gets no other.
func (e *Emulator) enroll(r *userRecord) {
	for _, d := range slices.Clone(e.organizations.domains) {
		e.offer(d, r)
	}
}

// enrollAll makes the offers of one domain.
func (e *Emulator) enrollAll(d *OrganizationDomain) {
	for _, r := range slices.Clone(e.users.created) {
		e.offer(d, r)
	}
}

func (e *Emulator) offer(d *OrganizationDomain, r *userRecord) {
	o, found := e.organizations.byID[d.OrganizationID]
	at := slices.IndexFunc(r.EmailAddresses, func(a EmailAddress) bool {
		return a.Verification.status() == "verified" && belongsTo(a.EmailAddress, d)
	})
	if !found || at < 0 || !d.verified() || !e.policies.Organizations.DomainsEnabled {
		return
	}
	if _, err := e.membership(o.ID, r.ID); err == nil {
		return
	}
	address := r.EmailAddresses[at].EmailAddress
	switch d.EnrollmentMode {
	case "automatic_invitation":
		if !slices.ContainsFunc(e.organizations.invitations, func(i *OrganizationInvitation) bool {
			return i.OrganizationID == o.ID && i.EmailAddress == address
		}) {
			_, _ = e.invite(o, invitationParameters{EmailAddress: address, Role: e.policies.Organizations.DomainsDefaultRole})
		}
	case "automatic_suggestion":
		if !slices.ContainsFunc(e.organizations.suggestions, func(s *suggestion) bool { return s.OrganizationID == o.ID && s.UserID == r.ID }) {
			now := e.after(0)
			e.organizations.suggestions = append(e.organizations.suggestions, &suggestion{
				ID: e.random.id("orgsug"), OrganizationID: o.ID, DomainID: d.ID, UserID: r.ID, Status: "pending", CreatedAt: now, UpdatedAt: now,
			})
			e.changed = true
		}
	}
}

// withdrawOffers ends the offers of a domain that nobody has taken.
func (e *Emulator) withdrawOffers(d *OrganizationDomain) {
	e.organizations.suggestions = slices.DeleteFunc(e.organizations.suggestions, func(s *suggestion) bool {
		return s.DomainID == d.ID && s.Status == "pending"
	})
	for _, i := range e.organizations.invitations {
		if offered(i, d) {
			e.revoke(i)
		}
	}
	e.changed = true
}

// offered reports whether an invitation is a pending one that a domain made.
func offered(i *OrganizationInvitation, d *OrganizationDomain) bool {
	return i.OrganizationID == d.OrganizationID && i.Status == "pending" && i.InviterID == nil && belongsTo(i.EmailAddress, d)
}

// forgetSuggestions deletes those of a user, an organization or a domain that is deleted.
func (e *Emulator) forgetSuggestions(id string) {
	e.organizations.suggestions = slices.DeleteFunc(e.organizations.suggestions, func(s *suggestion) bool {
		return s.UserID == id || s.OrganizationID == id || s.DomainID == id
	})
}

// frontSuggestion is a suggestion as the person sees it.
type frontSuggestion struct {
	Object                 string                  `json:"object"`
	ID                     string                  `json:"id"`
	PublicOrganizationData *PublicOrganizationData `json:"public_organization_data"`
	Status                 string                  `json:"status"`
	CreatedAt              int64                   `json:"created_at"`
	UpdatedAt              int64                   `json:"updated_at"`
}

func (e *Emulator) frontSuggestion(s *suggestion) frontSuggestion {
	return frontSuggestion{
		"organization_suggestion", s.ID, publicData(e.organizations.byID[s.OrganizationID]), s.Status, s.CreatedAt, s.UpdatedAt,
	}
}

func (e *Emulator) listSuggestionsToMe(c *frontCall, p person) (any, error) {
	e.enroll(p.userRecord)
	return suggestionPage(e, c, e.frontSuggestion, func(s *suggestion) (status string, mine bool) {
		_, err := e.membership(s.OrganizationID, p.ID)
		return s.Status, s.UserID == p.ID && err != nil
	})
}

// suggestionPage returns suggestions, newest first, as people or managers see them.
func suggestionPage[S any](e *Emulator, c *frontCall, show func(*suggestion) S, take func(*suggestion) (status string, mine bool)) (any, error) {
	status, err := c.filter("status")
	if err != nil {
		return nil, err
	}
	matching := []S{}
	sorted := slices.SortedStableFunc(slices.Values(e.organizations.suggestions), func(a, b *suggestion) int { return cmp.Compare(b.CreatedAt, a.CreatedAt) })
	for _, s := range sorted {
		if is, mine := take(s); mine && status.match(is) {
			matching = append(matching, show(s))
		}
	}
	return paged(c.call, matching, false)
}

func (e *Emulator) acceptSuggestionToMe(c *frontCall, p person) (any, error) {
	id := c.r.PathValue("suggestion_id")
	for _, s := range e.organizations.suggestions {
		if s.ID != id || s.UserID != p.ID {
			continue
		}
		if s.Status != "pending" {
			return nil, fail(http.StatusBadRequest, "organization_suggestion_already_accepted", "suggestion has already been accepted",
				"This organization suggestion has already been accepted.")
		}
		e.settle(s, "accepted")
		return e.frontSuggestion(s), nil
	}
	return nil, notFound("organization suggestion", id)
}

func (e *Emulator) settle(s *suggestion, status string) {
	s.Status, s.UpdatedAt, e.changed = status, e.after(s.UpdatedAt), true
}

// frontRequest is a membership request as managers of the organization see it.
type frontRequest struct {
	Object         string               `json:"object"`
	ID             string               `json:"id"`
	OrganizationID string               `json:"organization_id"`
	Status         string               `json:"status"`
	PublicUserData *frontPublicUserData `json:"public_user_data"`
	CreatedAt      int64                `json:"created_at"`
	UpdatedAt      int64                `json:"updated_at"`
}

// requestStatus returns the status of a suggestion as that of a request, or an empty text if the
// person has not asked.
func (s *suggestion) requestStatus() string {
	return map[string]string{"accepted": "pending", "completed": "accepted", "rejected": "revoked"}[s.Status]
}

func (e *Emulator) frontRequest(s *suggestion) frontRequest {
	return frontRequest{
		"organization_membership_request", s.ID, s.OrganizationID, s.requestStatus(), e.frontPublicData(e.users.byID[s.UserID]), s.CreatedAt, s.UpdatedAt,
	}
}

func (e *Emulator) listMyRequests(c *frontCall, _ person, o *Organization) (any, error) {
	return suggestionPage(e, c, e.frontRequest, func(s *suggestion) (status string, mine bool) {
		return s.requestStatus(), s.OrganizationID == o.ID && s.requestStatus() != ""
	})
}

// request returns the open request that a path names.
func (e *Emulator) request(c *frontCall, o *Organization) (*suggestion, error) {
	id := c.r.PathValue("request_id")
	for _, s := range e.organizations.suggestions {
		if s.ID == id && s.OrganizationID == o.ID && s.requestStatus() == "pending" {
			return s, nil
		}
	}
	return nil, notFound("organization membership request", id)
}

func (e *Emulator) acceptMyRequest(c *frontCall, _ person, o *Organization) (any, error) {
	s, err := e.request(c, o)
	if err != nil {
		return nil, err
	}
	if _, err := e.join(o, e.users.byID[s.UserID], e.policies.Organizations.DomainsDefaultRole, nil, nil); err != nil {
		return nil, err
	}
	e.settle(s, "completed")
	return e.frontRequest(s), nil
}

func (e *Emulator) rejectMyRequest(c *frontCall, _ person, o *Organization) (any, error) {
	s, err := e.request(c, o)
	if err != nil {
		return nil, err
	}
	e.settle(s, "rejected")
	return e.frontRequest(s), nil
}
