package clerksync

import (
	"context"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/machine"
)

// openMachines makes what verifies API keys, OAuth access tokens and M2M tokens. JWTs among them
// need the instance's keys and its issuer, all others the secret key.
func (a *assembly) openMachines(keys auth.KeySet) (err error) {
	a.revocations = machine.NewRevocations(a.db)
	c := auth.MachineConfig{
		Resources: a.OAuthResources, Callers: a.MachineCallers, MachineID: a.MachineID, Leeway: a.ClockLeeway, Now: a.Test.Now,
	}
	if keys != nil && keys.Algorithm() == auth.RS256 && a.Issuer != "" {
		c.Keys, c.Issuer = keys, a.Issuer
	}
	if a.api != nil {
		a.opaque = machine.New(machine.Config{
			DB: a.db, API: a.api, Revocations: a.revocations, Callers: a.MachineCallers, TTL: a.MachineTTL, MaxStale: max(0, a.MachineMaxStale),
			CallsPerMinute: max(0, a.MachineCallsPerMinute), Price: a.MachinePrice, Now: a.Test.Now, Incidents: a.incidents,
		})
		c.Opaque = a.opaque
	}
	if c.Keys == nil && c.Opaque == nil {
		return nil
	}
	if a.machines, err = auth.NewMachineVerifier(c); err != nil {
		return err
	}
	if a.opaque != nil {
		c.Opaque = a.opaque.Known()
	}
	a.knownMachines, err = auth.NewMachineVerifier(c)
	return err
}

// readMachines reads what the database has of machine tokens that were revoked.
func (a *assembly) readMachines(ctx context.Context) error {
	if err := a.revocations.Load(ctx); err != nil {
		return err
	}
	if a.opaque == nil {
		return nil
	}
	return a.opaque.Open(ctx)
}
