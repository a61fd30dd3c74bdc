package clerksync_test

import (
	"net/http"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
)

// cookieGate is a gate of an instance whose cookies have the suffix naoXFJnI, with two users.
type cookieGate struct {
	*gate
	ada, grace string
}

const (
	appOrigin      = "https://app.example.com"
	suffixedCookie = "__session_naoXFJnI"
	plainCookie    = "__session"
)

func newCookieGate(t *testing.T) *cookieGate {
	t.Helper()
	g := &cookieGate{gate: newGate(t, func(c *clerksync.Config) {
		c.AuthorizedParties, c.PublishableKey = []string{appOrigin}, "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k"
	})}
	g.ada = g.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
	g.grace = g.clerk.CreateUser(clerktest.User{Email: "grace@example.com"})
	g.clerk.Settle()
	return g
}

func (g *cookieGate) token(user, azp string, life int) string {
	g.Helper()
	token := g.clerk.TokenFor(clerktest.TokenOptions{UserID: user, AZP: azp, ExpiresIn: &life})
	g.clerk.Settle()
	return token
}

// Clerk's client renews one of the two cookies first, so that an expired one can stand next to a
// fresh one for a while.
func TestExpiredCookieNextToAFreshOne(t *testing.T) {
	t.Parallel()
	g, elsewhere := newCookieGate(t), newCookieGate(t)
	old, fresh := g.token(g.ada, appOrigin, -60), g.token(g.ada, appOrigin, 60)
	other, foreign := g.token(g.grace, appOrigin, 60), elsewhere.token(elsewhere.ada, appOrigin, -60)
	for _, tc := range []struct {
		name            string
		suffixed, plain string
		status          int
		user, reason    string
	}{
		{"the fresh one counts", old, fresh, 200, g.ada, ""},
		{"quoted", `"` + old + `"`, `"` + fresh + `"`, 200, g.ada, ""},
		{"the suffixed one is fresh", fresh, old, 200, g.ada, ""},
		{"the suffixed one is fresh, of another user than the other", fresh, other, 200, g.ada, ""},
		{"of different users", old, other, 401, "", "different_users"},
		{"the expired one is of another instance", foreign, fresh, 401, "", "signature"},
		{"the fresh one is of another instance", old, elsewhere.token(elsewhere.ada, appOrigin, 60), 401, "", "expired"},
		{"the expired one is of another party", g.token(g.ada, "https://evil.example.com", -60), fresh, 401, "", "expired"},
		{"the expired one is of no party", g.token(g.ada, "", -60), fresh, 401, "", "expired"},
		{"the fresh one is of another party", old, g.token(g.ada, "https://evil.example.com", 60), 401, "", "expired"},
		{"the fresh one is of no party", old, g.token(g.ada, "", 60), 401, "", "expired"},
		{"both expired", old, g.token(g.ada, appOrigin, -30), 401, "", "expired"},
		{"garbage before a fresh one", "x.y.z", fresh, 401, "", "malformed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, p := g.try("", nil, func(r *http.Request) {
				r.Header.Set("Cookie", suffixedCookie+"="+tc.suffixed+"; "+plainCookie+"="+tc.plain)
			})
			if w.Code != tc.status || tc.user != "" && w.Body.String() != tc.user || tc.reason != "" && p["reason"] != tc.reason {
				t.Errorf("answered %d %s, want %d %s", w.Code, w.Body, tc.status, tc.user+tc.reason)
			}
		})
	}
	if w, p := g.try("", nil, func(r *http.Request) {
		r.Header.Set("Cookie", suffixedCookie+"="+old+"; "+plainCookie+"="+fresh+"; "+plainCookie+"="+other)
	}); w.Code != 401 || p["reason"] != "expired" {
		t.Errorf("a name twice: %d %v", w.Code, p)
	}
	if w, p := g.try("", nil, func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+old)
		r.Header.Set("Cookie", plainCookie+"="+fresh)
	}); w.Code != 401 || p["reason"] != "expired" {
		t.Errorf("an expired token in the header beside a cookie: %d %v", w.Code, p)
	}
}

// Before browsers sent Sec-Fetch-Site, the Origin was all there is: it counts with its scheme, or
// anyone who can read and change plain http could act with the cookie.
func TestOriginOfAPlainPage(t *testing.T) {
	t.Parallel()
	g := newCookieGate(t)
	cookie := plainCookie + "=" + g.token(g.ada, appOrigin, 60)
	for _, tc := range []struct {
		origin, site, host string
		status             int
	}{
		{appOrigin, "", "", 200},
		{appOrigin, "", "api.example.com", 200},
		{"http://app.example.com", "", "", 403},
		{"http://app.example.com", "", "api.example.com", 403},
		{"https://app.example.com:8443", "", "app.example.com:8443", 403},
		{"https://api.example.com", "", "api.example.com", 403}, // no authorized party
		{"HTTPS://APP.example.com", "", "", 403},
		{"null", "", "", 403},
		{"", "", "", 403},
		{appOrigin, "same-origin", "", 200},
		{"http://app.example.com", "cross-site", "", 403},
	} {
		w, _ := g.try("", nil, func(r *http.Request) {
			r.Method = http.MethodPost
			r.Header.Set("Cookie", cookie)
			for name, value := range map[string]string{"Origin": tc.origin, "Sec-Fetch-Site": tc.site} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
			if tc.host != "" {
				r.Host = tc.host
			}
		})
		if w.Code != tc.status {
			t.Errorf("%+v: answered %d %s", tc, w.Code, w.Body)
		}
	}
}
