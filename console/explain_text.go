package console

import (
	"strings"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
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
		return "Denied: the user may not sign in", "The user is banned, locked, deprovisioned or deleted. The first condition that is not met says which."
	case clerksync.CodeSessionEnded:
		return "Denied: the session has ended", "The user signed out, or the session was revoked. Signing in again makes a new one."
	case clerksync.CodeInvalidSessionClaims:
		return "Denied: the token says what is no longer true", "Something newer than the token is stored, such as a membership that was lost. A fresh token settles it: the browser fetches one within a minute."
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
		return title0 + "another role in the organization is needed", "The user is known and signed in. The role in the active organization is not the one that is needed, or no organization is active."
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
	}
	return "Where stored facts are not fresh, they grant nothing."
}

// conditionOf returns a condition in words.
func conditionOf(c auth.Condition) conditionRow {
	row := conditionRow{Condition: c, Text: conditionText(c.Name)}
	for _, f := range c.Facts {
		value := f.Value
		switch {
		case !f.Known:
			value = "unknown"
		case value == "":
			value = "none"
		}
		row.Facts = append(row.Facts, factRow{factName(f.Name), strings.ReplaceAll(value, ",", ", "), sourceText(f.Source)})
	}
	for _, alternative := range c.Any {
		row.Any = append(row.Any, conditionOf(alternative))
	}
	for _, part := range c.All {
		row.Any = append(row.Any, conditionOf(part))
	}
	return row
}

// conditionTexts are the conditions that every request has, in words.
var conditionTexts = map[string]string{
	"token":      "The token is valid",
	"user":       "The user is active",
	"session":    "The session is still in use",
	"membership": "The user is a member of the active organization, in the role that the token says",
}

func conditionText(name string) string {
	if text, ok := conditionTexts[name]; ok {
		return text
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
