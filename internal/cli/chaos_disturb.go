package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"

	"github.com/clerksync/clerksync/internal/emulator"
)

// disturbances is the number of cases in [watched.disturb].
const disturbances = 13

// disturb does one of the things that must not make a report of being in sync false.
func (w *watched) disturb(ctx context.Context) error {
	w.refuse.Store(false)
	w.undated.Store(false)
	if len(w.deck) == 0 {
		w.deck = w.random.Perm(disturbances) // so that each comes once a round
	}
	next := w.deck[0]
	w.deck = w.deck[1:]
	switch next {
	case 0, 1:
		return w.restart(ctx)
	case 2:
		return w.takeCopy(ctx)
	case 3:
		return w.restoreCopy(ctx)
	case 4:
		return w.edit(ctx)
	case 5:
		w.refuse.Store(true)
	case 6:
		w.undated.Store(true)
	case 7:
		return w.clerk.SetFaults(emulator.Faults{Drop: 0.5})
	case 8:
		return w.clerk.SetFaults(emulator.Faults{Duplicate: 0.3, Reorder: 0.5, Fail: 0.2, Unheard: 0.1})
	case 9, 10:
		return w.renameRole(ctx)
	case 11:
		return w.command(ctx, "reconcile", "--dry-run")
	case 12:
		return w.command(ctx, "backfill")
	}
	return nil
}

// restart kills the server and starts it again.
func (w *watched) restart(ctx context.Context) error {
	w.kill()
	w.claims.Kills++
	return w.start(ctx)
}

// calm ends all faults of Clerk.
func (w *watched) calm() error {
	w.refuse.Store(false)
	w.undated.Store(false)
	return w.clerk.SetFaults(emulator.Faults{})
}

// command runs a command next to the server. It may find differences, and Clerk may refuse it.
func (w *watched) command(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, commandWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, w.binary, args...) //nolint:gosec // this very program
	cmd.Env = w.environ
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("run %v: %w", args, err)
	}
	w.claims.Commands++
	return nil
}

// renameRole gives a member a role and then changes its key: the event of the membership has the
// old key, and may arrive after the event of the role.
func (w *watched) renameRole(ctx context.Context) error {
	var role struct{ ID string }
	var members struct {
		Data []struct {
			Organization struct{ ID string }
			User         struct {
				ID string `json:"user_id"`
			} `json:"public_user_data"`
		}
	}
	w.roles++
	key := func(suffix string) map[string]any {
		return map[string]any{"name": fmt.Sprintf("Role %d", w.roles), "key": fmt.Sprintf("org:role%d%s", w.roles, suffix), "description": "d"}
	}
	err := errors.Join(w.clerk.Call(ctx, http.MethodPost, "/v1/organization_roles", key(""), &role),
		w.clerk.Call(ctx, http.MethodGet, "/v1/organization_memberships?limit=500", nil, &members))
	if err != nil {
		return err
	}
	if n := len(members.Data); n > 0 {
		m := members.Data[w.random.IntN(n)]
		path := "/v1/organizations/" + m.Organization.ID + "/memberships/" + m.User.ID
		var refused *emulator.APIError // the last administrator keeps the role
		if err := w.clerk.Call(ctx, http.MethodPatch, path, map[string]any{"role": key("")["key"]}, nil); err != nil && !errors.As(err, &refused) {
			return err
		}
	}
	err = w.clerk.Call(ctx, http.MethodPatch, "/v1/organization_roles/"+role.ID, map[string]any{"key": key("new")["key"]}, nil)
	w.claims.Roles++
	w.ledger.Note()
	return err
}
