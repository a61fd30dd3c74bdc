package webhook

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

const (
	endpointPrefix = "ep_"
	messagePrefix  = "msg_"
	secretPrefix   = "whsec_"
	secretBytes    = 32
	pingType       = "ping"
)

// payload is the body of a message. The order of the fields is that of the documentation, and the
// same change always has the same body.
type payload struct {
	ID        string     `json:"id"`
	Type      string     `json:"type"`
	Timestamp clerk.Time `json:"timestamp"`
	Data      any        `json:"data"`
}

// changeData is the data of a change: what changed, and no values.
type changeData struct {
	Kind                clerk.Kind        `json:"kind"`
	ID                  string            `json:"id"`
	Operation           mirror.Operation  `json:"operation"`
	Version             string            `json:"version"`
	Cursor              mirror.FeedCursor `json:"cursor"`
	ClerkUserID         *string           `json:"clerk_user_id"`
	ClerkOrganizationID *string           `json:"clerk_organization_id"`
}

// messageID returns the id of the message about a change to an endpoint. It is the same in all
// attempts, and after a resume that sends the change again.
func messageID(endpointID string, change mirror.FeedCursor) string {
	return messagePrefix + string(change) + "_" + strings.TrimPrefix(endpointID, endpointPrefix)
}

// cursorOf returns the change that a message is about, from its id.
func cursorOf(messageID string) (mirror.FeedCursor, bool) {
	text, found := strings.CutPrefix(messageID, messagePrefix)
	change, _, _ := strings.Cut(text, "_")
	_, _, err := mirror.FeedCursor(change).Split()
	return mirror.FeedCursor(change), found && err == nil
}

// bodyOf returns the body of the message about a change.
func bodyOf(id string, m *store.WebhookMessage) ([]byte, error) {
	return json.Marshal(payload{ID: id, Type: m.Type(), Timestamp: clerk.TimeOf(m.At), Data: changeData{
		Kind: m.Kind, ID: m.ID, Operation: m.Operation, Version: m.Version, Cursor: m.Cursor,
		ClerkUserID: orNull(m.ClerkUserID), ClerkOrganizationID: orNull(m.ClerkOrganizationID),
	}})
}

// ping returns the id and the body of a ping.
func ping(endpointID string, now time.Time) (id string, body []byte, err error) {
	id = messagePrefix + "ping_" + rand.Text()
	body, err = json.Marshal(payload{ID: id, Type: pingType, Timestamp: clerk.TimeOf(now), Data: map[string]string{"endpoint_id": endpointID}})
	return id, body, err
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// newSecret returns a secret as Standard Webhooks write it.
func newSecret() string {
	key := make([]byte, secretBytes)
	_, _ = rand.Read(key) // it never fails
	return secretPrefix + base64.StdEncoding.EncodeToString(key)
}

// newEndpointID returns a random id.
func newEndpointID() string { return endpointPrefix + strings.ToLower(rand.Text()) }
