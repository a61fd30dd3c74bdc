package emulator

import "time"

func (e *Emulator) banUser(c *call) (any, error) {
	r, err := e.user(c.id())
	if err != nil {
		return nil, err
	}
	answer, err := e.rewrite(r, func(next *userRecord, _ int64) { next.Banned = true })
	if err == nil {
		e.endSessions(r.ID, "revoked")
	}
	return answer, err
}

func (e *Emulator) unbanUser(c *call) (any, error) {
	return e.change(c, func(next *userRecord) { next.Banned = false })
}

// change changes the user that the path names.
func (e *Emulator) change(c *call, change func(*userRecord)) (any, error) {
	r, err := e.user(c.id())
	if err != nil {
		return nil, err
	}
	return e.rewrite(r, func(next *userRecord, _ int64) { change(next) })
}

// Clerk's default policy: how long a lock lasts, and how many failed attempts lock a user.
const (
	lockout      = time.Hour
	lockAttempts = 100
)

func (e *Emulator) lockUser(c *call) (any, error) {
	return e.change(c, func(next *userRecord) {
		next.Locked, next.locked = true, e.clock.now().Add(lockout)
		next.VerificationAttemptsRemaining = new(0)
	})
}

func (e *Emulator) unlockUser(c *call) (any, error) {
	return e.change(c, func(next *userRecord) {
		next.Locked, next.locked, next.LockoutExpiresInSeconds = false, time.Time{}, nil
		next.VerificationAttemptsRemaining = new(lockAttempts)
	})
}

// several runs an endpoint for each user of a list.
func several(one func(*Emulator, *call) (any, error)) func(*Emulator, *call) (any, error) {
	return func(e *Emulator, c *call) (any, error) {
		var p struct {
			IDs []string `json:"user_ids"`
		}
		if err := c.decode(&p); err != nil {
			return nil, err
		}
		if len(p.IDs) == 0 {
			return nil, missing("user_ids")
		}
		for _, id := range p.IDs {
			if _, err := e.user(id); err != nil {
				return nil, err
			}
		}
		all := []any{}
		for _, id := range p.IDs {
			c.r.SetPathValue("id", id)
			user, err := one(e, c)
			if err != nil {
				return nil, err
			}
			all = append(all, user)
		}
		return all, nil
	}
}

func (e *Emulator) deleteUser(c *call) (any, error) {
	r, err := e.user(c.id())
	if err != nil {
		return nil, err
	}
	e.endSessions(r.ID, "removed")
	e.sessions.forget(r.ID)
	e.leaveAll(r.ID)
	e.users.remove(r)
	e.forgetImage(r.ImageURL)
	e.forgetSuggestions(r.ID)
	gone := Deleted{Object: "user", ID: r.ID, Deleted: true}
	event := gone
	event.ExternalID = r.ExternalID
	e.emit("user.deleted", e.after(r.UpdatedAt), event)
	return gone, nil
}
