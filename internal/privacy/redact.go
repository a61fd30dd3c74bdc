package privacy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/clerk"
)

// secretFields are redacted before anything is stored, at any depth, so that a malformed body loses
// them too. In the application's own metadata these names mean nothing.
var secretFields = map[string]bool{
	"backup_codes": true, "nonce": true, "otp_code": true, "ticket": true, "token": true, "url": true,
	"client_ip": true, "ip_address": true, // a mirror does not need to know where users are
}

// redactSecrets removes one-time secrets and the addresses of clients.
func redactSecrets(envelope clerk.Value) (redacted clerk.Value, changed bool) {
	return envelope.Map(func(key string, v clerk.Value) (clerk.Value, bool) {
		switch {
		case strings.HasSuffix(key, "_metadata"):
			return v, true
		case secretFields[key] && !v.IsNull():
			return clerk.Null(), true
		case key == "verification" && v.Get("nonce").Exists():
			// the message to sign repeats the nonce
			return v.Without(func(k string) bool { return k == "nonce" || k == "message" }), true
		}
		return v, false
	})
}

// Redaction is what an operator wants never to be stored, in addition to one-time secrets.
type Redaction []redactedPath

type redactedPath struct {
	kind   clerk.Kind // "" for any
	fields []string   // from a member of one of Clerk's objects down; "*" is any
}

// indispensable are the members by which events become rows. Without them the mirror would be
// wrong.
var indispensable = []string{
	"id", "object", "type", "data", "deleted", "timestamp", "instance_id", "created_at", "updated_at", "status", "banned", "locked", "deprovisioned", "role",
	"user_id", "organization_id", "public_user_data", "user", "organization", "payer", "permissions", "key", "expire_at", "*",
}

// ParseRedaction parses field paths such as private_metadata, public_metadata.ssn or
// user.unsafe_metadata.x. A path applies to objects at any depth. If it begins with a kind, it
// applies to objects of that kind. The error names paths that would remove something by which
// events become rows.
func ParseRedaction(paths []string) (Redaction, error) {
	var all Redaction
	var faults []error
	for _, path := range paths {
		p := redactedPath{fields: strings.Split(path, ".")}
		if kind := clerk.Kind(p.fields[0]); len(p.fields) > 1 && slices.Contains(clerk.Kinds(), kind) {
			p.kind, p.fields = kind, p.fields[1:]
		}
		inMetadata := strings.HasSuffix(p.fields[0], "_metadata")
		switch last := p.fields[len(p.fields)-1]; {
		case slices.Contains(p.fields, ""):
			faults = append(faults, fmt.Errorf("redact %q: a field has no name", path))
		case !inMetadata && slices.Contains(indispensable, last):
			faults = append(faults, fmt.Errorf("redact %q: the mirror cannot do without %s", path, last))
		default:
			all = append(all, p)
		}
	}
	return all, errors.Join(faults...)
}

// apply redacts an object or a list and what is in it. Inside metadata no path begins.
func (r Redaction) apply(v clerk.Value) (_ clerk.Value, changed bool) {
	if v.IsArray() {
		return eachOf(v, r.apply)
	}
	if !v.IsObject() {
		return v, false
	}
	kind := clerk.KindOfObject(v.Get("object").String())
	for _, p := range r {
		// an object that does not say its kind may be of this one
		if p.kind == "" || p.kind == kind || !v.Get("object").Exists() {
			var done bool
			v, done = nulled(v, p.fields)
			changed = changed || done
		}
	}
	for key, member := range v.All() {
		if strings.HasSuffix(key, "_metadata") {
			continue
		}
		if next, done := r.apply(member); done {
			v, changed = v.With(key, next), true
		}
	}
	return v, changed
}

// nulled sets to null what a path names.
func nulled(v clerk.Value, fields []string) (_ clerk.Value, changed bool) {
	if v.IsArray() {
		return eachOf(v, func(e clerk.Value) (clerk.Value, bool) { return nulled(e, fields) })
	}
	for key, member := range v.All() {
		if fields[0] != "*" && fields[0] != key {
			continue
		}
		next, done := clerk.Null(), !member.IsNull()
		if len(fields) > 1 {
			next, done = nulled(member, fields[1:])
		}
		if done {
			v, changed = v.With(key, next), true
		}
	}
	return v, changed
}

func eachOf(list clerk.Value, fn func(clerk.Value) (clerk.Value, bool)) (_ clerk.Value, changed bool) {
	values := make([]clerk.Value, 0, list.Len())
	for _, e := range list.All() {
		next, done := fn(e)
		values, changed = append(values, next), changed || done
	}
	if !changed {
		return list, false
	}
	return clerk.Array(values...), true
}

// revision returns a hash of the rules of redaction, the built-in and the configured ones.
func (r Redaction) revision() string {
	h := sha256.New()
	fmt.Fprintln(h, 1, r)
	return hex.EncodeToString(h.Sum(nil)[:8])
}
