package console

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
)

// denialText says in words what a code and a reason mean.
func denialText(allowed bool, code, reason string) (title, text string) {
	if allowed {
		return "Allowed", "Every condition is met."
	}
	switch code {
	case clerksync.CodeUserNotRegistered:
		return "Denied: the user is not known", "The mirror does not have this user. At a real request Clerk is asked once, if a secret key is configured."
	case clerksync.CodeUserInactive:
		return "Denied: the user is not active", "The user is banned, locked, deprovisioned or deleted. The first condition that is not met says which."
	case clerksync.CodeSessionEnded:
		return "Denied: the session has ended", "The user signed out, or the session was revoked. Signing in again makes a new one."
	case clerksync.CodeInvalidSessionClaims:
		return "Denied: the token says what is no longer true", "Something newer than the token is stored, such as a membership that was lost. A fresh " +
			"token settles it: the browser fetches one within a minute."
	case auth.CodeAuthenticationRequired:
		return "Denied: no one is signed in", "There is no token, or it names no user."
	case auth.CodeFeatureLocked:
		return "Denied: the plan lacks it", "The user's or the organization's plan does not have this feature."
	case auth.CodeForbidden:
		return forbiddenText(reason)
	}
	if strings.HasPrefix(code, "invalid_token") {
		return "Denied: the token is not valid", "Its signature, its times or its claims are refused. The first condition says why."
	}
	return "Denied", "The first condition that is not met says why."
}

func forbiddenText(reason string) (title, text string) {
	const title0 = "Denied: "
	switch reason {
	case auth.ReasonRole:
		return title0 + "the role is too low", "The user is known and signed in. The role is not high enough for what is asked."
	case auth.ReasonOrganizationRole:
		return title0 + "another role in the organization is needed", "The user is known and signed in. The role in the active organization is not the " +
			"one that is needed, or no organization is active."
	case auth.ReasonPermission:
		return title0 + "the permission is missing", "The role in the active organization does not have the permission, or no organization is active."
	case auth.ReasonReverification:
		return title0 + "the user must confirm who they are", "The last verification of a factor is too long ago."
	case auth.ReasonImpersonated:
		return title0 + "someone impersonates the user", "What is asked for must be done by the user."
	}
	return title0 + "a rule refuses", "The condition that is not met says why."
}

// policyText says what happens where stored facts are not fresh.
func policyText(p clerksync.StalePolicy) string {
	switch p {
	case clerksync.StaleAskClerk:
		return "Where stored facts are not fresh, Clerk is asked at a real request."
	case clerksync.StaleTrust:
		return "Stored facts grant although nothing proves that they are fresh (CLERKSYNC_UNREADY=allow)."
	case clerksync.StaleDeny:
	}
	return "Where stored facts are not fresh, they grant nothing."
}

// conditionOf returns a condition in words. seen says how old stored facts are.
func conditionOf(c auth.Condition, seen map[clerk.Kind]time.Time) conditionRow {
	row := conditionRow{Condition: c, Text: conditionText(c.Name)}
	for _, f := range c.Facts {
		value := f.Value
		switch {
		case !f.Known:
			value = unknown
		case value == "":
			value = "none"
		}
		shown := factRow{Name: factName(f.Name), Value: strings.ReplaceAll(value, ",", ", "), Source: sourceText(f.Source)}
		switch {
		case f.Name == "ladder":
			shown.Source = sourceText(auth.SourceConfiguration)
		case f.Source == auth.SourceMirror && f.Known:
			shown.SeenAt = seen[kindOfCondition(c.Name)]
		}
		row.Facts = append(row.Facts, shown)
	}
	if c.Name == "token" {
		row.Because = tokenReasons[c.Reason]
	}
	for _, alternative := range c.Any {
		row.Any = append(row.Any, conditionOf(alternative, seen))
	}
	for _, part := range c.All {
		row.Any = append(row.Any, conditionOf(part, seen))
	}
	return row
}

// withoutToken removes what a token would say, where the question is about none.
func (r *conditionRow) withoutToken() {
	if r.Name == "membership" {
		r.Text = "The user is a member of the active organization"
	}
	r.Facts = slices.DeleteFunc(r.Facts, func(f factRow) bool { return f.Source == sourceText(auth.SourceToken) && f.Value == unknown })
	for i := range r.Any {
		r.Any[i].withoutToken()
	}
}

// unknown is the value of a fact that is not known.
const unknown = "unknown"

// kindOfCondition returns the kind of the rows in which a condition's stored facts are.
func kindOfCondition(name string) clerk.Kind {
	rule, _, _ := strings.Cut(name, "(")
	switch rule {
	case "session":
		return clerk.KindSession
	case "membership", "Permission", "OrgRole":
		return clerk.KindMembership
	}
	return clerk.KindUser
}

// tokenReasons are the reasons for which a token is refused, in words.
var tokenReasons = map[string]string{
	auth.ReasonTooLarge:        "it is longer than 16 KiB",
	auth.ReasonMalformed:       "it is no token, or damaged",
	auth.ReasonAlgorithm:       "it is signed in another way than is configured",
	auth.ReasonCategory:        "it is another kind of token than that of a session",
	auth.ReasonSignature:       "its signature is wrong: it was changed, or made by someone else",
	auth.ReasonUnknownKey:      "it is signed with a key that the instance does not have: it is of another instance, or old",
	auth.ReasonKeysUnavailable: "this server has no keys yet to verify it with",
	auth.ReasonExpired:         "it has expired: browsers fetch a fresh one every minute",
	auth.ReasonNotYetValid:     "it is not valid yet: compare the clocks",
	auth.ReasonIssuedInFuture:  "it was issued in the future: compare the clocks",
	auth.ReasonIssuer:          "it is of another Clerk instance",
	auth.ReasonAuthorizedParty: "it was made for a page that is not among the authorized parties",
	auth.ReasonAudience:        "it was made for another audience",
	auth.ReasonPending:         "the user has not finished signing in: a task is open, such as choosing an organization",
	auth.ReasonStatus:          "its session is neither active nor pending",
	auth.ReasonDifferentUsers:  "the cookies of the request name different users",
}

// conditionTexts are the conditions that every request has, in words.
var conditionTexts = map[string]string{
	"token":      "The token is valid",
	"user":       "The user is active",
	"session":    "The session is still in use",
	"membership": "The user is a member of the active organization, in the role that the token says",
}

// ruleText is a rule as it is written in Go, such as MinRole("admin").
var ruleText = regexp.MustCompile(`^(\w+)\((?:"([^"]*)")?\)$`)

// conditionText returns the name of a condition in words. Rules that have no words are shown as
// they are written in Go.
func conditionText(name string) string {
	if text, ok := conditionTexts[name]; ok {
		return text
	}
	parts := ruleText.FindStringSubmatch(name)
	if parts == nil {
		return name
	}
	switch parts[1] {
	case "MinRole":
		return "The role is " + parts[2] + " or higher"
	case "Role":
		return "The role is " + parts[2]
	case "Permission":
		return "The role in the organization has the permission " + parts[2]
	case "OrgRole":
		return "The role in the organization is " + parts[2]
	case "Feature":
		return "The plan has the feature " + parts[2]
	case "Plan":
		return "The plan is " + parts[2]
	case "NotImpersonated":
		return "No one impersonates the user"
	}
	return name
}

func factName(name string) string {
	switch name {
	case "iss":
		return "issuer"
	case "fva", "factor ages":
		return "minutes since the factors were verified"
	}
	return name
}

func sourceText(s auth.Source) string {
	switch s {
	case auth.SourceToken:
		return "in the token"
	case auth.SourceMirror:
		return "stored here"
	case auth.SourceConfiguration:
		return "configured"
	}
	return string(s)
}
