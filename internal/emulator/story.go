package emulator

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"
)

// Delivery is one webhook that Clerk would send, and what a person should know of it.
type Delivery struct {
	MessageID string
	Type      string
	Note      string // why it is in the story
	Body      []byte
}

// Story is a short life of two people and an organization, told the way webhooks tell it:
// late, twice and out of order.
type Story struct {
	AdaID, GraceID, OrganizationID, SessionID string
	Deliveries                                []Delivery
}

type values = map[string]any

// Story makes the deliveries, stamped with times that end at now.
func (i *Instance) Story(now time.Time) (*Story, error) {
	s := &Story{
		AdaID: "user_" + rand.Text(), GraceID: "user_" + rand.Text(), OrganizationID: "org_" + rand.Text(), SessionID: "sess_" + rand.Text(),
	}
	at := func(secondsAgo int) int64 { return now.Add(-time.Duration(secondsAgo) * time.Second).UnixMilli() }
	organization := values{
		"object": "organization", "id": s.OrganizationID, "name": "Analytical Engines", "slug": "analytical-engines",
		"created_by": s.AdaID, "public_metadata": values{}, "created_at": at(40), "updated_at": at(40),
	}
	session := func(status string, updated int64) values {
		return values{
			"object": "session", "id": s.SessionID, "user_id": s.AdaID, "client_id": "client_" + s.SessionID[5:], "status": status,
			"created_at": at(50), "updated_at": updated, "last_active_at": updated,
			"expire_at": now.Add(7 * 24 * time.Hour).UnixMilli(), "abandon_at": now.Add(30 * 24 * time.Hour).UnixMilli(),
		}
	}
	steps := []struct {
		eventType, note string
		at              int64
		data            values
	}{
		{"session.created", "before the user it belongs to", at(50), session("active", at(50))},
		{"user.created", "sign-up", at(60), user(s.AdaID, "Ada", "Lovelace", "ada@example.com", "", at(60), at(60))},
		{"user.updated", "a role, in public metadata", at(30), user(s.AdaID, "Ada", "Lovelace", "ada@example.com", "growth", at(60), at(30))},
		{"organizationMembership.created", "before its organization", at(39), values{
			"object": "organization_membership", "id": "orgmem_" + rand.Text(), "role": "org:admin",
			"permissions": []string{"org:sys_memberships:manage"}, "organization": organization,
			"public_user_data": values{"user_id": s.AdaID, "first_name": "Ada", "last_name": "Lovelace", "identifier": "ada@example.com"},
			"created_at":       at(39), "updated_at": at(39),
		}},
		{"organization.created", "", at(40), organization},
		{"user.updated", "late: older than what is stored", at(45), user(s.AdaID, "Ada", "Byron", "ada@example.com", "", at(60), at(45))},
		{"user.created", "a second person", at(20), user(s.GraceID, "Grace", "Hopper", "grace@example.com", "", at(20), at(20))},
		{"user.deleted", "she leaves", at(10), values{"object": "user", "id": s.GraceID, "deleted": true}},
		{"user.updated", "late: after the deletion", at(15), user(s.GraceID, "Grace", "Hopper", "grace@example.com", "admin", at(20), at(15))},
	}
	for _, step := range steps {
		body, err := json.Marshal(values{
			"object": "event", "type": step.eventType, "timestamp": step.at, "instance_id": i.ID, "data": step.data,
			"event_attributes": values{"http_request": values{"client_ip": "", "user_agent": "clerksync"}},
		})
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", step.eventType, err)
		}
		s.Deliveries = append(s.Deliveries, Delivery{"msg_" + rand.Text(), step.eventType, step.note, body})
	}
	again := s.Deliveries[2]
	again.Note = "the same delivery, twice"
	s.Deliveries = append(s.Deliveries, again)
	return s, nil
}

func user(id, first, last, email, role string, created, updated int64) values {
	metadata := values{}
	if role != "" {
		metadata["role"] = role
	}
	return values{
		"object": "user", "id": id, "first_name": first, "last_name": last, "username": nil, "image_url": "https://img.clerk.com/" + id,
		"primary_email_address_id": "idn_" + id[5:],
		"email_addresses": []values{{
			"object": "email_address", "id": "idn_" + id[5:], "email_address": email, "linked_to": []values{},
			"verification": values{"object": "verification_otp", "status": "verified", "strategy": "email_code"},
		}},
		"public_metadata": metadata, "private_metadata": values{}, "unsafe_metadata": values{},
		"banned": false, "locked": false, "last_sign_in_at": nil, "last_active_at": created, "created_at": created, "updated_at": updated,
	}
}
