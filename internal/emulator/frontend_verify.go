package emulator

import (
	"net/http"
	"slices"
)

// reverification is a step-up under way: a signed-in person proves again who it is. When it is
// done, the claim `fva` of the session's tokens begins anew.
type reverification struct {
	level, status string
	first, second *check
}

// frontReverification is a step-up, field by field as Clerk documents it.
type frontReverification struct {
	Object        string        `json:"object"`
	Level         string        `json:"level"`
	Status        string        `json:"status"`
	FirstFactors  []factor      `json:"supported_first_factors"`
	SecondFactors []factor      `json:"supported_second_factors"`
	First         *Verification `json:"first_factor_verification"`
	Second        *Verification `json:"second_factor_verification"`
	Session       frontSession  `json:"session"`
}

func (e *Emulator) shownReverification(c *frontCall, s *Session, r *userRecord) frontReverification {
	v := s.stepUp
	shown := frontReverification{
		Object: "session_reverification", Level: v.level, Status: v.status, First: e.verification(v.first), Second: e.verification(v.second),
		Session: e.frontSession(c, s),
	}
	if v.level != "second_factor" {
		shown.FirstFactors = r.firstFactors(false)
	}
	if v.level != "first_factor" {
		shown.SecondFactors = r.secondFactors()
	}
	return shown
}

// startVerification begins a step-up. Users without a second factor verify the first one instead.
func (e *Emulator) startVerification(c *frontCall) (any, error) {
	s, err := e.ownSession(c)
	if err != nil {
		return nil, err
	}
	var p struct {
		Level string `json:"level"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	r := e.users.byID[s.UserID]
	status := "needs_first_factor"
	switch p.Level {
	case "":
		return nil, missing("level")
	case "first_factor":
	case "second_factor", "multi_factor":
		if len(r.secondFactors()) == 0 {
			p.Level = "first_factor"
		} else if p.Level == "second_factor" {
			status = "needs_second_factor"
		}
	default:
		return nil, invalid("level", p.Level+" does not match one of the allowed values for parameter level.")
	}
	s.stepUp = &reverification{level: p.Level, status: status}
	return e.shownReverification(c, s, r), nil
}

func (e *Emulator) getVerification(c *frontCall) (any, error) {
	return e.verifyStep(c, func(*Session, *userRecord, signInParameters) error { return nil })
}

// verifyStep runs one step of a step-up, which must be in one of the given states if there are any.
func (e *Emulator) verifyStep(c *frontCall, run func(*Session, *userRecord, signInParameters) error, states ...string) (any, error) {
	s, err := e.ownSession(c)
	if err != nil {
		return nil, err
	}
	var p signInParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if s.stepUp == nil || len(states) > 0 && !slices.Contains(states, s.stepUp.status) {
		return nil, fail(http.StatusBadRequest, "client_state_invalid", "Invalid client state", "There is no verification of this session that needs this step.")
	}
	r := e.users.byID[s.UserID]
	if err := run(s, r, p); err != nil {
		return nil, err
	}
	return e.shownReverification(c, s, r), nil
}

func (e *Emulator) prepareVerifyFirst(c *frontCall) (any, error) {
	return e.verifyStep(c, func(s *Session, r *userRecord, p signInParameters) error {
		f, err := chosen(r.firstFactors(false), p.Strategy, p.AddressID+p.PhoneID, "")
		if err != nil {
			return err
		}
		if f.addressID() != "" {
			s.stepUp.first = e.prepared(s.stepUp.first, f, r.ID)
		}
		return nil
	}, "needs_first_factor")
}

func (e *Emulator) attemptVerifyFirst(c *frontCall) (any, error) {
	return e.verifyStep(c, func(s *Session, r *userRecord, p signInParameters) error {
		if _, err := chosen(r.firstFactors(false), p.Strategy, "", ""); err != nil {
			return err
		}
		k, err := e.proven(r, s.stepUp.first, p.Strategy, or(p.Password), p.Code)
		if s.stepUp.first = k; err != nil {
			return err
		}
		s.verifiedAt[0], e.changed = e.clock.now().UnixMilli(), true
		s.stepUp.status = "complete"
		if s.stepUp.level == "multi_factor" {
			s.stepUp.status = "needs_second_factor"
		}
		return nil
	}, "needs_first_factor")
}

func (e *Emulator) prepareVerifySecond(c *frontCall) (any, error) {
	return e.verifyStep(c, func(s *Session, r *userRecord, p signInParameters) error {
		if p.Strategy == "" {
			p.Strategy = "phone_code"
		}
		f, err := chosen(r.secondFactors(), p.Strategy, p.PhoneID, "")
		if err != nil {
			return err
		}
		if f.addressID() != "" {
			s.stepUp.second = e.prepared(s.stepUp.second, f, r.ID)
		}
		return nil
	}, "needs_second_factor")
}

func (e *Emulator) attemptVerifySecond(c *frontCall) (any, error) {
	return e.verifyStep(c, func(s *Session, r *userRecord, p signInParameters) error {
		if _, err := chosen(r.secondFactors(), p.Strategy, "", ""); err != nil {
			return err
		}
		k, err := e.proven(r, s.stepUp.second, p.Strategy, "", p.Code)
		if s.stepUp.second = k; err != nil {
			return err
		}
		s.verifiedAt[1], e.changed = e.clock.now().UnixMilli(), true
		s.stepUp.status = "complete"
		return nil
	}, "needs_second_factor")
}
