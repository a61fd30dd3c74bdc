package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/mirror"
)

// each calls a function for every message that waits.
func (d *demonstration) each(lines <-chan emulator.Message, call func(emulator.Message)) {
	for {
		select {
		case m := <-lines:
			call(m)
		default:
			return
		}
	}
}

// printAttempt prints one attempt: time, event, subject, the answer of the mirror, and what
// changed.
func (d *demonstration) printAttempt(ctx context.Context, m emulator.Message) {
	a := m.Attempts[0]
	verdict := "no answer: " + a.Error
	var answer struct{ Status, Code string }
	if a.Status > 0 {
		verdict = strconv.Itoa(a.Status)
		if json.Unmarshal([]byte(a.Answer), &answer) == nil && answer.Status+answer.Code != "" {
			verdict = answer.Status + answer.Code
		}
	}
	switch {
	case a.Fault != "":
		verdict += "  (" + faultWords(a.Fault) + ")"
	case answer.Status == string(mirror.OutcomeProcessed):
		verdict += "  " + d.changedFields(ctx, m.ID)
	}
	line := fmt.Sprintf("%s  %-30s %-24s %s", a.At.Local().Format(time.TimeOnly), m.Type, shorten(subject(m.Body), 24), verdict)
	fmt.Fprintln(d.out, strings.TrimRight(line, " "))
}

// changedFields names the fields that a delivery changed, but for times.
func (d *demonstration) changedFields(ctx context.Context, messageID string) string {
	changes, err := d.mirror.Deliveries().Changes(ctx, messageID)
	if err != nil {
		return ""
	}
	var names []string
	for i := range changes {
		for _, name := range changes[i].Fields {
			if !strings.HasSuffix(name, "_at") && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return shorten(strings.Join(names, ", "), 40)
}

func faultWords(fault string) string {
	words, ok := map[string]string{
		"duplicate": "sent twice", "fail": "lost; sent again later", "wrong_signature": "forged copy",
		"unheard": "answer lost", "outage": "outage",
	}[fault]
	if !ok {
		return fault
	}
	return words
}

// subject returns the name of what an event is about.
func subject(body []byte) string {
	var event struct {
		Data struct {
			ID, Name, Slug, Status, Role string
			First                        string `json:"first_name"`
			Last                         string `json:"last_name"`
			User                         struct {
				First string `json:"first_name"`
				Last  string `json:"last_name"`
			} `json:"user"`
			Member struct {
				First string `json:"first_name"`
			} `json:"public_user_data"`
			Organization struct{ Name string } `json:"organization"`
		} `json:"data"`
	}
	if json.Unmarshal(body, &event) != nil {
		return ""
	}
	x := event.Data
	switch {
	case x.First != "":
		return x.First + " " + x.Last
	case x.Organization.Name != "":
		return x.Member.First + " in " + x.Organization.Name
	case x.User.First != "":
		return x.User.First + " " + x.User.Last
	case x.Name != "":
		return x.Name
	}
	return x.ID
}

func shorten(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}
