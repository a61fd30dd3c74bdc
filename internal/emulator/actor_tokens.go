package emulator

import (
	"net/http"
)

func (e *Emulator) createActorToken(c *call) (any, error) {
	var p struct {
		UserID  string         `json:"user_id"`
		Actor   map[string]any `json:"actor"`
		Expires *int           `json:"expires_in_seconds"`
		Max     *int           `json:"session_max_duration_in_seconds"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if _, ok := p.Actor["sub"]; !ok {
		return nil, missing("actor.sub")
	}
	if _, err := e.user(p.UserID); err != nil {
		return nil, err
	}
	now := e.after(0)
	ticket := e.random.text(40)
	a := &ActorToken{
		Object: "actor_token", ID: e.random.id("act"), Status: "pending", UserID: p.UserID, Actor: p.Actor, Token: ticket,
		URL: new(e.ticketURL(ticket, "")), CreatedAt: now, UpdatedAt: now,
	}
	e.actors[a.ID] = a
	e.changed = true
	return a, nil
}

func (e *Emulator) revokeActorToken(c *call) (any, error) {
	a, ok := e.actors[c.id()]
	if !ok {
		return nil, notFound("actor token", c.id())
	}
	if a.Status != "pending" {
		return nil, fail(http.StatusBadRequest, "actor_token_already_used", "not pending", "The actor token is "+a.Status+".")
	}
	a.Status, a.UpdatedAt = "revoked", e.after(a.UpdatedAt)
	e.changed = true
	return a, nil
}
