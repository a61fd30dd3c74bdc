package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// What a caller can understand is said with a code, and anything else is a fault of the storage.
func TestAnswersToErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		err    error
		status int
		code   string
	}{
		{fmt.Errorf("delivery msg_1: %w", mirror.ErrChangesRemoved), http.StatusGone, "changes_removed"},
		{fmt.Errorf("delivery msg_1: %w", mirror.ErrNotFound), http.StatusNotFound, "not_found"},
		{errors.New("disk full"), http.StatusServiceUnavailable, "storage_unavailable"},
	} {
		p, ok := errors.AsType[*web.Problem](answerTo(context.Background(), tc.err))
		if !ok || p.Status != tc.status || p.Code != tc.code {
			t.Errorf("%v: %+v", tc.err, p)
		}
	}
}
