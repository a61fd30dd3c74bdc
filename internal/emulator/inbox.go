package emulator

import (
	"fmt"
	"html"
	"slices"
	"time"
)

// Mail is an e-mail or a text message that Clerk would have sent to a person. Nothing leaves the
// emulator: tests and people read it here.
type Mail struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"` // email or sms
	Slug    string    `json:"slug"` // Clerk's name of the template, such as verification_code
	To      string    `json:"to"`   // an address or a number
	UserID  string    `json:"user_id,omitempty"`
	Subject string    `json:"subject"`
	Body    string    `json:"body"` // plain text
	Code    string    `json:"code,omitempty"`
	Link    string    `json:"link,omitempty"`
	At      time.Time `json:"at"` // by the instance's clock

	addressID string
}

// maxInbox is how many messages are kept. The oldest are forgotten first.
const maxInbox = 1000

// Inbox returns the kept e-mails and text messages, newest first. They are not in state files.
func (e *Emulator) Inbox() []Mail {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := slices.Clone(e.inbox)
	slices.Reverse(all)
	return all
}

// ClearInbox forgets all e-mails and text messages.
func (e *Emulator) ClearInbox() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.inbox = nil
}

// post puts a message into the inbox and sends its event. ID and time are set here.
func (e *Emulator) post(m Mail) {
	now := e.clock.now()
	m.At = now.UTC()
	prefix := "ema"
	if m.Kind == "sms" {
		prefix = "sms"
	}
	m.ID = e.random.id(prefix)
	if len(e.inbox) >= maxInbox {
		e.inbox = slices.Delete(e.inbox, 0, len(e.inbox)-maxInbox+1)
	}
	e.inbox = append(e.inbox, m)
	if m.Kind == "sms" {
		e.emit("sms.created", now.UnixMilli(), m.sms())
		return
	}
	e.emit("email.created", now.UnixMilli(), e.emailEvent(m))
}

// emailEvent returns the data of email.created, field by field as Clerk documents it.
func (e *Emulator) emailEvent(m Mail) map[string]any {
	data := map[string]any{
		"app": map[string]any{
			"name": applicationName, "domain_name": e.host(), "logo_url": nil, "logo_image_url": nil, "url": e.Issuer,
		},
		"requested_by": "Chrome, Linux", "requested_at": m.At.Format("2 January 2006, 15:04 UTC"),
		"theme": map[string]any{"show_clerk_branding": false}, "user": map[string]any{"public_metadata": Metadata{}, "public_metadata_fallback": ""},
	}
	if m.Code != "" {
		data["otp_code"] = m.Code
	}
	if m.Link != "" {
		data["action_url"] = m.Link
	}
	return map[string]any{
		"object": "email", "id": m.ID, "slug": m.Slug, "from_email_name": "notifications", "reply_to_email_name": nil,
		"to_email_address": m.To, "email_address_id": text(m.addressID), "user_id": text(m.UserID), "subject": m.Subject,
		"body":       "<!DOCTYPE html><html><body>" + html.EscapeString(m.Body) + "</body></html>",
		"body_plain": m.Body + "\n", "status": "queued", "data": data, "delivered_by_clerk": true,
	}
}

// sms returns the data of sms.created.
func (m Mail) sms() map[string]any {
	return map[string]any{
		"object": "sms_message", "id": m.ID, "slug": m.Slug, "from_phone_number": "+15555550199", "to_phone_number": m.To,
		"phone_number_id": text(m.addressID), "user_id": text(m.UserID), "message": m.Body, "status": "queued",
		"data": map[string]any{"otp_code": m.Code}, "delivered_by_clerk": true, "created_at_ms": m.At.UnixMilli(),
	}
}

// sendCode sends a code, or a code with a link, to an address or a number.
func (e *Emulator) sendCode(to, addressID, userID, slug, code string) {
	m := Mail{Kind: "email", To: to, UserID: userID, Slug: slug, Code: code, addressID: addressID}
	if isPhone(to) {
		m.Kind = "sms"
	}
	m.Subject = code + " is your verification code"
	m.Body = fmt.Sprintf("%s is your verification code for %s.", code, applicationName)
	e.post(m)
}

// sendLink sends a link to an address.
func (e *Emulator) sendLink(to, addressID, userID, slug, subject, link string) {
	e.post(Mail{
		Kind: "email", To: to, UserID: userID, Slug: slug, Subject: subject, Body: subject + ": " + link, Link: link, addressID: addressID,
	})
}

func (e *Emulator) listInbox(c *call) (any, error) {
	to := c.query.Get("to")
	all := []Mail{}
	for _, m := range e.Inbox() {
		if to == "" || m.To == to {
			all = append(all, m)
		}
	}
	return all, nil
}

func (e *Emulator) emptyInbox(*call) (any, error) {
	e.ClearInbox()
	return []Mail{}, nil
}
