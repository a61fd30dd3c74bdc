package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
)

// secretFields are redacted before anything is stored, at any depth, so that a malformed
// body loses them too. In the application's own metadata the same names mean nothing.
var secretFields = map[string]bool{
	"backup_codes": true, "nonce": true, "otp_code": true, "ticket": true, "token": true, "url": true,
	"client_ip": true, "ip_address": true, // where people are is nothing that a mirror needs
}

// redactSecrets takes one-time secrets and addresses of clients out.
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

// Redaction is what an operator wants never to be stored, beside one-time secrets.
type Redaction []redactedPath

type redactedPath struct {
	kind   clerk.Kind // "" for any
	fields []string   // from a member of an object of Clerk's down; "*" is any
}

// indispensable are the members by which events become rows: without them the mirror would be wrong.
var indispensable = []string{
	"id", "object", "type", "data", "deleted", "timestamp", "instance_id", "created_at", "updated_at", "status", "banned", "locked", "deprovisioned", "role",
	"user_id", "organization_id", "public_user_data", "user", "organization", "payer", "permissions", "key", "expire_at", "*",
}

// ParseRedaction reads field paths such as private_metadata, public_metadata.ssn or user.unsafe_metadata.x. A path
// holds for objects at any depth, of the kind that it begins with if it does. The error names a path that would take
// something away by which events become rows.
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
			faults = append(faults, fmt.Errorf("redact %q: the mirror can not do without %s", path, last))
		default:
			all = append(all, p)
		}
	}
	return all, errors.Join(faults...)
}

// redact takes out what must not be stored. It is idempotent, so that the stored body gives the same operations as the
// body that was delivered, and so that an event and a read of the same object agree.
func (in *Ingest) redact(v clerk.Value) (redacted clerk.Value, changed bool) {
	v, changed = redactSecrets(v)
	redaction := in.redactionBy(in.db.Settings())
	if len(redaction) == 0 {
		return v, changed
	}
	v, byPath := redaction.apply(v)
	return v, changed || byPath
}

// apply redacts an object or a list and what is in it, but for metadata: there no path begins.
func (r Redaction) apply(v clerk.Value) (_ clerk.Value, changed bool) {
	if v.IsArray() {
		return eachOf(v, r.apply)
	}
	if !v.IsObject() {
		return v, false
	}
	kind := clerk.KindOfObject(v.Get("object").String())
	for _, p := range r {
		// what does not tell its kind may be of this one
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

// nulled makes null of what a path names.
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

// revision names the rules of redaction, the built-in ones and the configured.
func (r Redaction) revision() string {
	h := sha256.New()
	fmt.Fprintln(h, 1, r)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func (in *Ingest) redactRows(ctx context.Context, kind clerk.Kind) (changed int64, err error) {
	for after, more := "", true; more; {
		err := in.db.Update(ctx, func(tx *store.Tx) error {
			keys, err := tx.KeysAfter(ctx, kind, after, erasePage)
			if more = len(keys) > 0; err != nil || !more {
				return err
			}
			next := keys[len(keys)-1].ID
			rows, err := tx.Rows(ctx, keys)
			if err != nil {
				return err
			}
			var differ []*store.Row
			var changes []store.Change
			for _, k := range keys {
				r := rows[k]
				if r == nil || r.Raw == "" {
					continue
				}
				body, _ := in.redact(r.Body())
				if body.JSON() == r.Raw {
					continue
				}
				setBody(r, body)
				differ = append(differ, r)
				if !r.Hidden() {
					changes = append(changes, store.Change{Key: k, Operation: row.OpUpsert, Version: r.Version})
				}
			}
			changed += int64(len(differ))
			after = next
			if err := tx.SaveRows(ctx, differ); err != nil {
				return err
			}
			return tx.AppendChanges(ctx, changes)
		})
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return changed, err
		}
	}
	return changed, nil
}

func (in *Ingest) redactBodies(ctx context.Context) (changed int64, err error) {
	for cursor := ""; ; {
		list, last, err := in.db.Bodies(ctx, cursor, eraseBodies, eraseBytes)
		if err != nil || last == "" {
			return changed, err
		}
		cursor = last
		var differ []store.Delivery
		for _, d := range list {
			body, err := clerk.Parse([]byte(d.Body))
			if err != nil {
				continue // damaged: nobody can tell what is in it
			}
			if redacted, _ := in.redact(body); redacted.JSON() != d.Body {
				d.Body = redacted.JSON()
				differ = append(differ, d)
			}
		}
		if len(differ) == 0 {
			continue
		}
		changed += int64(len(differ))
		if err := in.db.Update(ctx, func(tx *store.Tx) error { return tx.RewriteBodies(ctx, differ) }); err != nil {
			return changed, err
		}
		if ctx.Err() != nil {
			return changed, ctx.Err()
		}
	}
}
