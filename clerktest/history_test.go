package clerktest_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"pgregory.net/rapid"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/driver/postgres"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/internal/viewreader"
)

// CLERKSYNC_TEST_HISTORIES scales the property test, as it does that of package ingest. Here a
// history costs a database of its own, so that a third must do.
func TestMain(m *testing.M) {
	flag.Parse()
	n, err := strconv.Atoi(os.Getenv("CLERKSYNC_TEST_HISTORIES"))
	if err != nil {
		n = 100
	}
	if err := flag.Set("rapid.checks", strconv.Itoa(max(1, n/3))); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// Whatever happens at Clerk, and whatever the network does with the webhooks, the mirror ends up
// equal to Clerk, in all nine kinds that it has and that the emulator knows.
func TestMirrorConvergesOnAnyHistory(t *testing.T) {
	t.Parallel()
	t.Cleanup(func() {
		if judged.Load() == 0 {
			t.Error("no history was judged")
		}
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		folder, serial := t.TempDir(), 0
		rapid.Check(t, func(rt *rapid.T) {
			serial++
			path := filepath.Join(folder, fmt.Sprintf("%d.db", serial))
			defer os.Remove(path)
			db, err := sqlite.Open(path, sqlite.DangerouslySynchronousNormal())
			must(rt, err)
			direct, err := sql.Open("sqlite", path)
			must(rt, err)
			defer direct.Close()
			judgeHistory(rt, db, direct)
		})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		dsn := testenv.Postgres(t)
		admin, err := sql.Open("pgx", dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer admin.Close()
		serial := 0
		rapid.Check(t, func(rt *rapid.T) {
			if rapid.IntRange(0, 9).Draw(rt, "a tenth of SQLite's") != 0 {
				return
			}
			serial++
			schema := fmt.Sprintf("history_%d", serial)
			_, err := admin.ExecContext(rt.Context(), "CREATE SCHEMA "+schema)
			must(rt, err)
			defer admin.ExecContext(context.Background(), "DROP SCHEMA "+schema+" CASCADE")
			separator := "?"
			if strings.Contains(dsn, "?") {
				separator = "&"
			}
			own := dsn + separator + "search_path=" + schema
			db, err := postgres.Open(own)
			must(rt, err)
			direct, err := sql.Open("pgx", own)
			must(rt, err)
			defer direct.Close()
			judgeHistory(rt, db, direct)
		})
	})
}

func must(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func judgeHistory(t *rapid.T, db *store.DB, direct *sql.DB) {
	h := newHistory(t)
	defer h.clerk.Close()
	m, err := clerksync.New(t.Context(), driver.NewHandle(db), clerksync.Config{WebhookSecrets: []string{secret}, InstanceID: h.clerk.Keys("").InstanceID})
	must(t, err)
	defer m.Close()
	_, err = h.clerk.AddEndpoint(emulator.Target{Handler: m.WebhookHandler()}, secret)
	must(t, err)
	h.happen()
	h.outlast()
	h.readRoles(db)
	differences, err := h.clerk.Differences(t.Context(), viewreader.New(direct))
	must(t, err)
	if len(differences) > 0 {
		t.Fatalf("the mirror is not what Clerk is:\n%s", strings.Join(differences, "\n"))
	}
}

const secret = "whsec_aGlzdG9yaWVzaGlzdG9yaWVzaGlzdG9yaWVz"

// history lets things happen at an emulated Clerk, as rapid draws them.
type history struct {
	t     *rapid.T
	clerk *emulator.Emulator
	names int
}

func newHistory(t *rapid.T) *history {
	e, err := emulator.New(emulator.Options{
		Seed: rapid.Uint64Min(1).Draw(t, "seed"), NoChildEvents: rapid.Bool().Draw(t, "no child events"),
		Workers: rapid.SampledFrom([]int{1, 4}).Draw(t, "connections"),
	})
	must(t, err)
	return &history{t: t, clerk: e}
}

// call does not mind being refused: joining twice, say, is part of life.
func (h *history) call(method, path string, in, out any) {
	h.t.Helper()
	var refused *emulator.APIError
	if err := h.clerk.Call(h.t.Context(), method, path, in, out); err != nil && (!errors.As(err, &refused) || refused.Status >= 500) {
		h.t.Fatal(err)
	}
}

// one picks an object of a list; the id of none where it is empty.
func (h *history) one(path string) string {
	var listed struct{ Data []struct{ ID string } }
	if path == "/v1/users" { // a bare array
		h.call(http.MethodGet, path+"?limit=500", nil, &listed.Data)
	} else {
		h.call(http.MethodGet, path+"?limit=500", nil, &listed)
	}
	if len(listed.Data) == 0 {
		return "none"
	}
	return rapid.SampledFrom(listed.Data).Draw(h.t, path).ID
}

type object = map[string]any

func (h *history) name() string {
	h.names++
	return fmt.Sprintf("name%d", h.names)
}

func (h *history) happen() {
	for range rapid.IntRange(1, 40).Draw(h.t, "deeds") {
		switch deed := rapid.SampledFrom([]string{
			"live", "live", "live", "live", "live", "live", "live", "live", "faults", "clock", "lock", "unlock", "revoke", "delete organization",
			"invite", "accept", "withdraw", "domain", "domain", "role", "role", "role", "permission", "permission", "subscribe", "metadata",
		}).Draw(h.t, "deed"); deed {
		case "live":
			if _, err := h.clerk.Step(h.t.Context()); err != nil {
				h.t.Fatal(err)
			}
		case "faults":
			must(h.t, h.clerk.SetFaults(drawFaults(h.t)))
		case "clock":
			h.clerk.Advance(time.Duration(rapid.Int64Range(0, int64(3*time.Hour)).Draw(h.t, "advance")))
		case "role", "permission":
			h.changeAccess(deed)
		case "invite", "accept", "withdraw", "domain", "delete organization":
			h.changeOrganization(deed)
		default:
			h.changeUser(deed)
		}
	}
}

func (h *history) changeUser(deed string) {
	id := h.one("/v1/users")
	switch deed {
	case "lock", "unlock":
		h.call(http.MethodPost, "/v1/users/"+id+"/"+deed, nil, nil)
	case "metadata":
		metadata := object{"n": rapid.Float64().Draw(h.t, "n"), "s": strings.ReplaceAll(rapid.String().Draw(h.t, "s"), "\x00", "\uFFFD"), "gone": nil}
		h.call(http.MethodPatch, "/v1/users/"+id+"/metadata", object{"public_metadata": metadata, "private_metadata": object{"deep": metadata}}, nil)
	case "subscribe":
		h.call(http.MethodPost, "/_emulator/subscriptions", object{"payer": id, "plan": h.name()}, nil)
	case "revoke":
		var sessions []struct{ ID string }
		h.call(http.MethodGet, "/v1/sessions?user_id="+id, nil, &sessions)
		if len(sessions) > 0 {
			h.call(http.MethodPost, "/v1/sessions/"+sessions[0].ID+"/revoke", nil, nil)
		}
	}
}

func (h *history) changeOrganization(deed string) {
	id := h.one("/v1/organizations")
	path := "/v1/organizations/" + id
	switch deed {
	case "delete organization":
		h.call(http.MethodDelete, path, nil, nil)
	case "invite":
		h.call(http.MethodPost, path+"/invitations", object{"email_address": h.name() + "@example.com", "role": "org:member"}, nil)
	case "accept":
		h.call(http.MethodPost, "/_emulator/users/"+h.one("/v1/users")+"/accept", object{"invitation_id": h.one("/v1/organization_invitations")}, nil)
	case "withdraw":
		h.call(http.MethodPost, path+"/invitations/"+h.one(path+"/invitations")+"/revoke", nil, nil)
	case "domain":
		domain := path + "/domains/" + h.one(path+"/domains")
		switch rapid.IntRange(0, 3).Draw(h.t, "to the domain") {
		case 0:
			h.call(http.MethodDelete, domain, nil, nil)
		case 1:
			h.call(http.MethodPatch, domain, object{"enrollment_mode": "automatic_invitation"}, nil)
		default:
			h.call(http.MethodPost, path+"/domains", object{"name": h.name() + ".example"}, nil)
		}
	}
}

func (h *history) changeAccess(kind string) {
	path := "/v1/organization_" + kind + "s"
	one := path + "/" + h.one(path)
	switch rapid.IntRange(0, 6).Draw(h.t, "to the "+kind) {
	case 0:
		h.call(http.MethodDelete, one, nil, nil)
	case 1:
		h.call(http.MethodPatch, one, object{"name": h.name()}, nil)
	case 2:
		h.call(http.MethodPost, "/v1/organization_roles/"+h.one("/v1/organization_roles")+"/permissions/"+h.one("/v1/organization_permissions"), nil, nil)
	case 3: // somebody gets a role that may be new
		var roles struct{ Data []struct{ Key string } }
		h.call(http.MethodGet, "/v1/organization_roles?limit=500", nil, &roles)
		organization := h.one("/v1/organizations")
		if len(roles.Data) > 0 {
			role := rapid.SampledFrom(roles.Data).Draw(h.t, "role").Key
			h.call(http.MethodPatch, "/v1/organizations/"+organization+"/memberships/"+h.one("/v1/users"), object{"role": role}, nil)
		}
	case 4:
		h.renameRole()
	default:
		h.call(http.MethodPost, path, object{"name": h.name(), "key": h.name() + map[string]string{"permission": ":read"}[kind], "description": "d"}, nil)
	}
}

// renameRole gives a role another key soon after a member got it, so that news of both may change
// places. Roles that the emulated people ask for by their keys keep them.
func (h *history) renameRole() {
	var members struct{ Data []membership }
	organization := "/v1/organizations/" + h.one("/v1/organizations")
	h.call(http.MethodGet, organization+"/memberships?limit=500", nil, &members)
	var role struct{ ID, Key string }
	h.call(http.MethodPost, "/v1/organization_roles", object{"name": h.name(), "key": h.name(), "description": "d"}, &role)
	if len(members.Data) > 0 {
		user := rapid.SampledFrom(members.Data).Draw(h.t, "member").User.ID
		h.call(http.MethodPatch, organization+"/memberships/"+user, object{"role": role.Key}, nil)
	}
	h.call(http.MethodPatch, "/v1/organization_roles/"+role.ID, object{"key": h.name()}, nil)
}

type membership struct {
	User struct {
		ID string `json:"user_id"`
	} `json:"public_user_data"`
}

// drawFaults draws a bad network, from which Svix's retries recover.
func drawFaults(t *rapid.T) emulator.Faults {
	rate := func(name string) float64 { return rapid.SampledFrom([]float64{0, 0, 0.2, 0.6}).Draw(t, name) }
	return emulator.Faults{
		Duplicate: rate("duplicate"), Reorder: rate("reorder"), ReorderWindow: emulator.Duration(20 * time.Second),
		Delay: rate("delay"), DelayMax: emulator.Duration(30 * time.Hour), Fail: rate("fail"), Unheard: rate("unheard"),
		WrongSignature: rate("wrong signature"), WrongInstance: rate("wrong instance"),
		Outage: emulator.Duration(rapid.SampledFrom([]time.Duration{0, 0, 0, 10 * time.Hour}).Draw(t, "outage")),
	}
}

// outlast moves the clock over all retries, on a good network, and checks that none was given up.
func (h *history) outlast() {
	must(h.t, h.clerk.SetFaults(emulator.Faults{}))
	for {
		must(h.t, h.clerk.Settle(h.t.Context()))
		next, waits := h.clerk.Pending()
		if !waits {
			break
		}
		h.clerk.Advance(next.Sub(h.clerk.Now()))
	}
	for _, m := range h.clerk.Deliveries() {
		if m.State != "delivered" {
			h.t.Fatalf("%s is %s: %+v", m.Type, m.State, m.Attempts)
		}
	}
	judged.Add(1)
}

// readRoles reads by id what is in doubt because the key of its role changed: that is the one thing
// that no event tells.
func (h *history) readRoles(db *store.DB) {
	ctx := h.t.Context()
	in, err := ingest.New(ctx, ingest.Config{DB: db})
	must(h.t, err)
	defer in.Close()
	doubts, err := db.VerifyQueue(ctx, 500)
	must(h.t, err)
	for _, d := range doubts {
		if d.Reason != "role_renamed" {
			continue
		}
		row, err := db.RowMeta(ctx, d.Key)
		must(h.t, err)
		at, err := in.ReadFence(ctx)
		must(h.t, err)
		var body json.RawMessage
		path := "/v1/organizations/" + row.OrganizationID
		if d.Key.Kind == clerk.KindInvitation {
			h.call(http.MethodGet, path+"/invitations/"+d.Key.ID, nil, &body)
		} else {
			var listed struct{ Data []json.RawMessage }
			h.call(http.MethodGet, path+"/memberships?user_id="+row.UserID, nil, &listed)
			if len(listed.Data) > 0 {
				body = listed.Data[0]
			}
		}
		if body == nil {
			h.t.Fatalf("%v is in doubt, and Clerk does not know it", d)
		}
		value, err := clerk.Parse(body)
		must(h.t, err)
		must(h.t, in.Apply(ctx, ingest.Reading{Key: d.Key, Body: value, ObservedAt: at.ObservedAt, Since: at.Since, ByID: true}))
	}
}

// judged counts the histories that were lived to their end.
var judged atomic.Int64
