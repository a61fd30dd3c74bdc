package cli

import (
	"strings"
	"testing"
)

func TestVerdictTellsWrongClaimsFromNone(t *testing.T) {
	t.Parallel()
	good := Verdict{InSync: true}
	for name, test := range map[string]struct {
		change  func(*Verdict)
		failure string
	}{
		"right":            {func(v *Verdict) { v.Claims = &Claims{Claimed: 2, True: 2} }, ""},
		"no server":        {func(*Verdict) {}, ""},
		"wrong":            {func(v *Verdict) { v.Claims = &Claims{Claimed: 2, True: 1} }, "when it was not"},
		"never claimed":    {func(v *Verdict) { v.Claims = &Claims{Asked: 100} }, "never said"},
		"difference":       {func(v *Verdict) { v.Differences = []string{"user user_1"} }, "does not equal Clerk"},
		"not in sync":      {func(v *Verdict) { v.InSync = false }, "does not equal Clerk"},
		"forgery accepted": {func(v *Verdict) { v.Accepted = 1 }, "forged"},
	} {
		v := good
		test.change(&v)
		if v.Claims != nil {
			v.Claims.Result = v.Claims.result()
		}
		failure := v.failure()
		if failure == nil != (test.failure == "") || failure != nil && !strings.Contains(failure.Error(), test.failure) {
			t.Errorf("%s: %v", name, failure)
		}
	}
}
