package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/mirror"
)

// OtherInstanceError returns a [mirror.ErrOtherInstance] that names both instances and says what
// to do.
func OtherInstanceError(database, keys string) error {
	return fmt.Errorf("%w: this database mirrors %s, but the keys or the configured instance are those of %s; "+
		"use the keys of %s, or another database for %s, or let this one mirror it: clerksync instance reset deletes what is stored of %s",
		mirror.ErrOtherInstance, database, keys, database, keys, database)
}

// OtherInstance reports whether the key ids name instances, but none of the wanted ones. Keys that
// name no instance prove nothing.
func OtherInstance(ids, wanted []string) bool {
	named := Instances(ids)
	return len(named) > 0 && !slices.ContainsFunc(named, func(id string) bool { return slices.Contains(wanted, id) })
}

// Instances returns the key ids that name instances: Clerk names an instance's key after it.
func Instances(ids []string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !strings.HasPrefix(id, "ins_") })
}

// SoleInstance returns the instance that the key ids name, or "" if they name none or several.
func SoleInstance(ids []string) string {
	if named := Instances(ids); len(named) == 1 {
		return named[0]
	}
	return ""
}

// checkInstance makes sure that the secret key belongs to the instance that the database mirrors.
// The first run that writes stores the instance in the database before it reads anything else.
func (r *Reconciler) checkInstance(ctx context.Context, dryRun bool) error {
	ids, err := r.API.KeyIDs(ctx, clerkapi.Background)
	if err != nil {
		return err
	}
	if r.OnKeyIDs != nil {
		r.OnKeyIDs(ids)
	}
	var pins []string
	if r.AllowedInstances != nil {
		pins = r.AllowedInstances()
	}
	if len(pins) > 0 && OtherInstance(ids, pins) {
		return OtherInstanceError(strings.Join(pins, ", "), strings.Join(Instances(ids), ", "))
	}
	if dryRun {
		return nil
	}
	known, err := r.DB.RememberInstance(ctx, SoleInstance(ids))
	if err == nil && known != "" && OtherInstance(ids, []string{known}) {
		err = OtherInstanceError(known, strings.Join(Instances(ids), ", "))
	}
	return err
}
