package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// newRole is the role that a user gets.
type newRole struct {
	Role string `json:"role"`
}

func (h *handler) setRole(ctx context.Context, c *call, n newRole) (any, error) {
	id, err := h.userToChange(ctx, c)
	if err != nil {
		return nil, err
	}
	return h.mirror.Users().SetRole(ctx, id, n.Role, c.by)
}

// userChange is a method that changes a user.
type userChange func(users clerksync.Users, ctx context.Context, clerkUserID string, by mirror.By) (mirror.Written, error)

// changeUser returns the function of a route that changes a user.
func (h *handler) changeUser(change userChange) func(context.Context, *call, none) (any, error) {
	return func(ctx context.Context, c *call, _ none) (any, error) {
		id, err := h.userToChange(ctx, c)
		if err != nil {
			return nil, err
		}
		return change(h.mirror.Users(), ctx, id, c.by)
	}
}

// userToChange returns the Clerk id of the user of the path. The mirror need not have the user.
func (h *handler) userToChange(ctx context.Context, c *call) (string, error) {
	if strings.HasPrefix(c.id(), "user_") {
		return c.id(), nil
	}
	user, err := h.userByID(ctx, c.id())
	return user.ClerkUserID, err
}

// revoked says how many sessions were revoked.
type revoked struct {
	Count int `json:"count"`
	mirror.Written
}

func (h *handler) revokeSessions(ctx context.Context, c *call, _ none) (any, error) {
	id, err := h.userToChange(ctx, c)
	if err != nil {
		return nil, err
	}
	n, written, err := h.mirror.Users().RevokeSessions(ctx, id, c.by)
	return revoked{n, written}, err
}

func (h *handler) revokeSession(ctx context.Context, c *call, _ none) (any, error) {
	return h.mirror.Sessions().Revoke(ctx, c.id(), c.by)
}

// eraseUser deletes a user at Clerk, and removes what the mirror has of the person. A request has
// to name the user twice.
func (h *handler) eraseUser(ctx context.Context, c *call) (any, error) {
	if c.text("confirm") != c.id() {
		return nil, &web.Problem{
			Status: http.StatusBadRequest, Code: "confirmation_required",
			Detail: "This deletes the user at Clerk and here, and cannot be undone. Repeat the id of the path as confirm",
		}
	}
	id, err := h.userToChange(ctx, c)
	if err != nil {
		return nil, err
	}
	return h.mirror.Users().DeleteAndErase(ctx, id, c.by)
}
