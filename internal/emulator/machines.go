package emulator

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Machine is a machine, which sends tokens to other machines.
type Machine struct {
	Object          string `json:"object"`
	ID              string `json:"id"`
	Name            string `json:"name"`
	InstanceID      string `json:"instance_id"`
	DefaultTokenTTL int    `json:"default_token_ttl"` // seconds
	CreatedAt       int64  `json:"created_at"`
	UpdatedAt       int64  `json:"updated_at"`

	key    machineKey
	scopes []machineScope // oldest first
}

// machineKey is the secret key of a machine, with the one before, which is valid until a time by
// the instance's clock. Clerk does not document what becomes of a third one: here it ends at once.
type machineKey struct {
	Secret        string `json:"secret"`
	Previous      string `json:"previous,omitempty"`
	PreviousUntil int64  `json:"previous_until,omitempty"`
}

// machineScope allows a machine to send tokens to another one.
type machineScope struct {
	To        string `json:"to"`
	CreatedAt int64  `json:"created_at"`
}

const (
	maxMachines       = 1000
	maxMachineName    = 255
	maxTokenTTL       = 315_360_000 // seconds
	defaultTokenTTL   = 3600
	maxKeyOverlap     = 28_800 // seconds
	defaultMachineKey = "ak"   // the prefix, as in Clerk's documents: that of API keys, too
)

// machine returns a machine by its id.
func (e *Emulator) machine(id string) (*Machine, error) {
	for _, m := range e.machines {
		if m.ID == id {
			return m, nil
		}
	}
	return nil, notFound("machine", id)
}

// machineOfKey returns the machine that a secret key belongs to, or nil.
func (e *Emulator) machineOfKey(key string) *Machine {
	now := e.clock.now().UnixMilli()
	for _, m := range e.machines {
		if key == m.key.Secret || key == m.key.Previous && key != "" && now < m.key.PreviousUntil {
			return m
		}
	}
	return nil
}

// shownMachine is a machine with those that it may send tokens to.
type shownMachine struct {
	*Machine

	Scoped    []*Machine `json:"scoped_machines"`
	SecretKey string     `json:"secret_key,omitempty"` // once, when it is made
}

func (e *Emulator) shownMachine(m *Machine) shownMachine {
	shown := shownMachine{Machine: m, Scoped: []*Machine{}}
	for _, s := range m.scopes {
		if to, err := e.machine(s.To); err == nil {
			shown.Scoped = append(shown.Scoped, to)
		}
	}
	return shown
}

// machineParameters describe a machine.
type machineParameters struct {
	Name   *string  `json:"name"`
	Scoped []string `json:"scoped_machines"`
	TTL    *int     `json:"default_token_ttl"`

	secret string // of fixtures
}

func (p *machineParameters) check() error {
	if p.Name != nil && (*p.Name == "" || len([]rune(*p.Name)) > maxMachineName) {
		return invalid("name", fmt.Sprintf("name must be 1 to %d characters.", maxMachineName))
	}
	if p.TTL != nil && (*p.TTL < 1 || *p.TTL > maxTokenTTL) {
		return invalid("default_token_ttl", fmt.Sprintf("default_token_ttl must be 1 to %d seconds.", maxTokenTTL))
	}
	if len(p.Scoped) > maxScopes {
		return invalid("scoped_machines", fmt.Sprintf("scoped_machines must be at most %d.", maxScopes))
	}
	return nil
}

func (e *Emulator) createMachine(c *call) (any, error) {
	var p machineParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	m, err := e.addMachine(p)
	if err != nil {
		return nil, err
	}
	shown := e.shownMachine(m)
	shown.SecretKey = m.key.Secret
	return shown, nil
}

func (e *Emulator) addMachine(p machineParameters) (*Machine, error) {
	if p.Name == nil {
		return nil, missing("name")
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	if len(e.machines) >= maxMachines {
		return nil, tooManyObjects("machines", maxMachines)
	}
	now := e.after(0)
	m := &Machine{
		Object: "machine", ID: e.random.id("mch"), Name: *p.Name, InstanceID: e.ID, DefaultTokenTTL: defaultTokenTTL, CreatedAt: now, UpdatedAt: now,
	}
	if p.TTL != nil {
		m.DefaultTokenTTL = *p.TTL
	}
	for _, id := range p.Scoped {
		if _, err := e.machine(id); err != nil {
			return nil, invalid("scoped_machines", "No machine was found with id "+id)
		}
		if m.scope(id) == nil {
			m.scopes = append(m.scopes, machineScope{id, now})
		}
	}
	m.key.Secret = cmp.Or(p.secret, e.random.tokenSecret(defaultMachineKey))
	e.machines, e.changed = append(e.machines, m), true
	return m, nil
}

func (m *Machine) scope(to string) *machineScope {
	if i := slices.IndexFunc(m.scopes, func(s machineScope) bool { return s.To == to }); i >= 0 {
		return &m.scopes[i]
	}
	return nil
}

func (e *Emulator) listMachines(c *call) (any, error) {
	query := c.query.Get("query")
	matching := []*Machine{}
	for _, m := range e.machines {
		if query == "" || m.ID == query || strings.Contains(strings.ToLower(m.Name), strings.ToLower(query)) {
			matching = append(matching, m)
		}
	}
	if err := sorted(c, matching, "-created_at", map[string]func(a, b *Machine) int{
		"created_at": func(a, b *Machine) int { return cmp.Compare(a.CreatedAt, b.CreatedAt) },
		"name":       func(a, b *Machine) int { return cmp.Compare(a.Name, b.Name) },
	}); err != nil {
		return nil, err
	}
	limit, offset, err := c.window()
	if err != nil {
		return nil, err
	}
	page := []shownMachine{}
	for _, m := range cut(matching, limit, offset) {
		page = append(page, e.shownMachine(m))
	}
	return list{page, len(matching)}, nil
}

func (e *Emulator) getMachine(c *call) (any, error) {
	m, err := e.machine(c.id())
	if err != nil {
		return nil, err
	}
	return e.shownMachine(m), nil
}

func (e *Emulator) updateMachine(c *call) (any, error) {
	m, err := e.machine(c.id())
	if err != nil {
		return nil, err
	}
	var p struct {
		Name *string `json:"name"`
		TTL  *int    `json:"default_token_ttl"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if err := (&machineParameters{Name: p.Name, TTL: p.TTL}).check(); err != nil {
		return nil, err
	}
	if p.Name != nil {
		m.Name = *p.Name
	}
	if p.TTL != nil {
		m.DefaultTokenTTL = *p.TTL
	}
	m.UpdatedAt, e.changed = e.after(m.UpdatedAt), true
	return e.shownMachine(m), nil
}

// deleteMachine deletes a machine and the scopes of others to it. Clerk does not document what
// becomes of its tokens: here they stay valid until they expire, so that no one relies on Clerk for
// that.
func (e *Emulator) deleteMachine(c *call) (any, error) {
	m, err := e.machine(c.id())
	if err != nil {
		return nil, err
	}
	e.machines = slices.DeleteFunc(e.machines, func(x *Machine) bool { return x == m })
	for _, x := range e.machines {
		x.scopes = slices.DeleteFunc(x.scopes, func(s machineScope) bool { return s.To == m.ID })
	}
	e.changed = true
	return Deleted{Object: "machine", ID: m.ID, Deleted: true}, nil
}

// machineSecret is the secret key of a machine.
type machineSecret struct {
	Object string `json:"object"`
	Secret string `json:"secret"`
}

func (e *Emulator) getMachineKey(c *call) (any, error) {
	m, err := e.machine(c.id())
	if err != nil {
		return nil, err
	}
	return machineSecret{"machine_secret_key", m.key.Secret}, nil
}

// rotateMachineKey makes a new secret key. The one before stays valid for a while.
func (e *Emulator) rotateMachineKey(c *call) (any, error) {
	m, err := e.machine(c.id())
	if err != nil {
		return nil, err
	}
	var p struct {
		TTL *int `json:"previous_token_ttl"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	switch {
	case p.TTL == nil:
		return nil, missing("previous_token_ttl")
	case *p.TTL < 0 || *p.TTL > maxKeyOverlap:
		return nil, invalid("previous_token_ttl", fmt.Sprintf("previous_token_ttl must be 0 to %d seconds.", maxKeyOverlap))
	}
	until := e.clock.now().Add(whole(*p.TTL)).UnixMilli()
	m.key = machineKey{Secret: e.random.tokenSecret(defaultMachineKey), Previous: m.key.Secret, PreviousUntil: until}
	m.UpdatedAt, e.changed = e.after(m.UpdatedAt), true
	return machineSecret{"machine_secret_key", m.key.Secret}, nil
}

// shownScope is a scope, or one that was deleted.
type shownScope struct {
	Object    string `json:"object"`
	From      string `json:"from_machine_id"`
	To        string `json:"to_machine_id"`
	CreatedAt int64  `json:"created_at,omitempty"`
	Deleted   bool   `json:"deleted,omitempty"`
}

func (e *Emulator) createMachineScope(c *call) (any, error) {
	m, err := e.machine(c.id())
	if err != nil {
		return nil, err
	}
	var p struct {
		To string `json:"to_machine_id"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if p.To == "" {
		return nil, missing("to_machine_id")
	}
	if _, err := e.machine(p.To); err != nil {
		return nil, err
	}
	switch {
	case m.scope(p.To) != nil:
		return nil, fail(http.StatusConflict, "duplicate_record", "already exists", "The machine has this scope already.")
	case len(m.scopes) >= maxScopes:
		return nil, invalid("to_machine_id", fmt.Sprintf("A machine has at most %d scopes.", maxScopes))
	}
	s := machineScope{p.To, e.after(0)}
	m.scopes, e.changed = append(m.scopes, s), true
	return shownScope{Object: "machine_scope", From: m.ID, To: s.To, CreatedAt: s.CreatedAt}, nil
}

func (e *Emulator) deleteMachineScope(c *call) (any, error) {
	m, err := e.machine(c.id())
	if err != nil {
		return nil, err
	}
	to := c.r.PathValue("other_id")
	if m.scope(to) == nil {
		return nil, notFound("machine scope", to)
	}
	m.scopes = slices.DeleteFunc(m.scopes, func(s machineScope) bool { return s.To == to })
	e.changed = true
	return shownScope{Object: "machine_scope", From: m.ID, To: to, Deleted: true}, nil
}

// savedMachine is a machine in a state file.
type savedMachine struct {
	*Machine

	Key    machineKey     `json:"key"`
	Scopes []machineScope `json:"scopes,omitempty"`
}

// machineState is what a state file has about machines and their tokens.
type machineState struct {
	Machines []savedMachine  `json:"machines,omitempty"`
	Tokens   []*machineToken `json:"tokens,omitempty"`
	Usage    usages          `json:"usage"`
	OAuth    oauthSettings   `json:"oauth"`
	Clients  []*oauthClient  `json:"oauth_applications,omitempty"`
	Grants   []*oauthGrant   `json:"oauth_grants,omitempty"`
}

func (s *machineState) fits() bool {
	lost := slices.Contains(s.Tokens, nil) || slices.Contains(s.Clients, nil) || slices.Contains(s.Grants, nil) ||
		slices.ContainsFunc(s.Machines, func(m savedMachine) bool { return m.Machine == nil })
	return !lost
}

func (e *Emulator) savedMachines() *machineState {
	s := &machineState{Tokens: e.tokens.all, Usage: e.usage, OAuth: e.oauth.settings, Clients: e.oauth.clients, Grants: e.oauth.grants}
	for _, m := range e.machines {
		s.Machines = append(s.Machines, savedMachine{m, m.key, m.scopes})
	}
	return s
}

func (e *Emulator) restoreMachines(s *machineState) {
	if s == nil { // files of earlier versions have none
		return
	}
	for _, m := range s.Machines {
		m.key, m.scopes = m.Key, m.Scopes
		e.machines = append(e.machines, m.Machine)
	}
	for _, t := range s.Tokens {
		e.tokens.add(t)
	}
	e.usage = s.Usage
	e.oauth = oauth{s.OAuth, s.Clients, s.Grants}
}

// sameJSON reports whether two values are the same, whatever the order of their fields.
func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && canonical(x) == canonical(y)
}
