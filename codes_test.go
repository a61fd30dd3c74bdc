package clerksync_test

import (
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/access"
	internallive "github.com/clerksync/clerksync/internal/live"
)

// The exported codes are literals, for go doc. They are the codes of the packages that deny.
func TestCodesAreThoseOfTheInternalPackages(t *testing.T) {
	t.Parallel()
	for exported, internal := range map[string]string{
		clerksync.CodeUserNotRegistered:    internallive.CodeNotRegistered,
		clerksync.CodeUserInactive:         internallive.CodeInactive,
		clerksync.CodeSessionEnded:         internallive.CodeSessionEnded,
		clerksync.CodeInvalidSessionClaims: internallive.CodeContradiction,
		clerksync.CodeCrossOrigin:          access.CodeCrossOrigin,
		clerksync.CodeUnavailable:          access.CodeUnavailable,
		clerksync.CodeKeysUnavailable:      access.CodeKeysUnavailable,
	} {
		if exported != internal {
			t.Errorf("%q is exported for %q", exported, internal)
		}
	}
}
