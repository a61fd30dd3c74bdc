package clerksync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/instance"
)

// Secrets are the secrets of a mirror that can be replaced while it runs. An empty field leaves the
// secret as it is.
type Secrets struct {
	// WebhookSecrets replace Config.WebhookSecrets. Deliveries that begin afterwards must match one
	// of them. While a secret is rotated, give the old and the new one.
	WebhookSecrets []string
	// SecretKey replaces Config.SecretKey, once Clerk has accepted it.
	SecretKey string
	// MachineSecretKey replaces Config.MachineSecretKey, once Clerk has accepted it for
	// Config.MachineID.
	MachineSecretKey string
}

// Rotate replaces secrets of a mirror while it runs. If it fails, those that could not be replaced
// stay in use. Errors are those of malformed webhook secrets, [ErrSecretKeyRefused],
// [ErrOtherInstance] if the secret key is of another instance than the database, [ErrNoSecretKey]
// if the key of the configuration was empty, or Config.SecretKey is the shared secret of tokens,
// and those of a Clerk that cannot be asked. A machine's secret key needs Config.MachineID.
//
// Each process has its own secrets: replace them in all of them before the old ones end at Clerk.
func Rotate(ctx context.Context, m *Mirror, s Secrets) error {
	var faults []error
	secrets := slices.DeleteFunc(slices.Clone(s.WebhookSecrets), func(s string) bool { return strings.TrimSpace(s) == "" })
	if len(secrets) > 0 {
		faults = append(faults, m.receiver.SetSecrets(secrets))
	}
	if s.SecretKey != "" {
		faults = append(faults, keyError(m.instance.SetSecretKey(ctx, s.SecretKey)))
	}
	if s.MachineSecretKey != "" {
		if err := keyError(m.instance.SetMachineSecretKey(ctx, s.MachineSecretKey)); err != nil {
			faults = append(faults, fmt.Errorf("MachineSecretKey: %w", err))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("clerksync: %w", err)
	}
	return nil
}

func keyError(err error) error {
	switch {
	case errors.Is(err, instance.ErrNoSecretKey):
		return ErrNoSecretKey
	case errors.Is(err, clerkapi.ErrUnauthorized):
		return ErrSecretKeyRefused
	}
	return err
}
