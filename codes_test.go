package clerksync_test

import (
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/access"
	internallive "github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/internal/receive"
)

// The exported constants are literals, for go doc. Their values are those of the internal packages.
func TestConstantsAreThoseOfTheInternalPackages(t *testing.T) {
	t.Parallel()
	for exported, internal := range map[string]string{
		clerksync.CodeUserNotRegistered:    internallive.CodeNotRegistered,
		clerksync.CodeUserInactive:         internallive.CodeInactive,
		clerksync.CodeSessionEnded:         internallive.CodeSessionEnded,
		clerksync.CodeInvalidSessionClaims: internallive.CodeContradiction,
		clerksync.CodeCrossOrigin:          access.CodeCrossOrigin,
		clerksync.CodeUnavailable:          access.CodeUnavailable,
		clerksync.CodeKeysUnavailable:      access.CodeKeysUnavailable,

		clerksync.CodeOrganizationInactive:    internallive.CodeOrganizationInactive,
		clerksync.CodeVerificationUnavailable: access.CodeUnverifiable,
	} {
		if exported != internal {
			t.Errorf("%q is exported for %q", exported, internal)
		}
	}
	if clerksync.MaxWebhookBody != receive.MaxBody {
		t.Errorf("MaxWebhookBody is %d, and %d is accepted", clerksync.MaxWebhookBody, receive.MaxBody)
	}
}
