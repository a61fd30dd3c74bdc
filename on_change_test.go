package clerksync_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/mirror"
)

// noPlan is an OnChange that refuses the user with the last name Refused.
func noPlan(ctx context.Context, tx *clerksync.Tx, changes []mirror.Change) error {
	for _, c := range changes {
		var refused int
		err := tx.QueryRow(ctx, "SELECT count(*) FROM clerk_users WHERE clerk_user_id = $1 AND last_name = 'Refused'", c.ID).Scan(&refused)
		if err != nil {
			return err
		}
		if refused > 0 || c.Operation == mirror.Erased {
			return errors.New("no plan")
		}
	}
	return nil
}

// What OnChange refuses is told by the methods and in status and health, until it is mended.
func TestOnChangeThatFailsIsShown(t *testing.T) {
	t.Parallel()
	onSharedDatabase(t, func(s *shared) {
		m := s.mirror(func(c *clerksync.Config) { c.OnChange = noPlan })
		s.clerk.SendTo(m.WebhookHandler())
		if w := warning(m, s.T, "hook_failed"); w != nil {
			s.Errorf("a warning at first: %+v", w)
		}
		refused := func(what string, err error) {
			s.Helper()
			failed, ok := errors.AsType[*mirror.OnChangeError](err)
			if !ok || failed.Problem() != "no plan" || clerksync.ErrorCode(err) != "hook_failed" {
				s.Errorf("%s: %v, code %q", what, err, clerksync.ErrorCode(err))
			}
		}
		apply := func(last string) error {
			_, err := m.Users().Apply(s.Context(), json.RawMessage(`{"object":"user","id":"user_1","last_name":"`+last+`","updated_at":1790000000000}`))
			return err
		}
		refused("Apply", apply("Refused"))
		if _, err := m.Users().ByClerkID(s.Context(), "user_1"); !errors.Is(err, clerksync.ErrNotFound) {
			s.Errorf("the user is stored: %v", err)
		}
		if err := apply("Lovelace"); err != nil {
			s.Error(err)
		}
		_, _, err := m.Users().Erase(s.Context(), "user_1")
		refused("Erase", err)
		if u, err := m.Users().ByClerkID(s.Context(), "user_1"); err != nil || u.LastName != "Lovelace" {
			s.Errorf("after an erasure that was refused: %+v, %v", u, err)
		}

		s.clerk.CreateUser(clerktest.User{Email: "ada@example.com", LastName: "Refused"})
		s.clerk.Settle()
		s.later()
		w := warning(m, s.T, "hook_failed")
		if w == nil || w.Severity != mirror.SeverityError || !strings.Contains(w.Message, "1 event is not applied") || strings.Contains(w.Message, "no plan") {
			s.Errorf("the warning is %+v", w)
		}
		status, err := m.Sync().Status(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		told := ""
		for _, r := range status.Reasons {
			if r.Code == "hook_failed" {
				told = r.Message
			}
		}
		if !strings.Contains(told, "the last error: no plan") {
			s.Errorf("the reasons are %+v", status.Reasons)
		}

		mended := s.mirror(func(c *clerksync.Config) {
			c.OnChange = func(context.Context, *clerksync.Tx, []mirror.Change) error { return nil }
		})
		report, err := mended.Deliveries().ReplayAll(s.Context(), mirror.DeliveryFilter{State: mirror.DeliveryDead}, mirror.ReplayOptions{})
		if err != nil || report.Replayed != 1 || report.Failed != 0 {
			s.Errorf("%+v, %v", report, err)
		}
		s.later()
		if w := warning(m, s.T, "hook_failed"); w != nil {
			s.Errorf("still a warning: %+v", w)
		}
	})
}

// A process without OnChange that may write says that it passes by the application, in its log and
// in health, until the database is told to forget it.
func TestProcessWithoutOnChangeIsWarned(t *testing.T) {
	t.Parallel()
	onSharedDatabase(t, func(s *shared) {
		before := s.mirror(nil)
		if w := warning(before, s.T, "hook_bypassed"); w != nil {
			s.Errorf("a warning without any OnChange: %+v", w)
		}
		application := s.mirror(func(c *clerksync.Config) {
			c.OnChange = func(context.Context, *clerksync.Tx, []mirror.Change) error { return nil }
		})
		logs := &testenv.Logs{}
		open := func(server bool) *clerksync.Mirror {
			return s.mirror(func(c *clerksync.Config) { c.Logger, c.RemediesForServer = logs.Logger(), server })
		}
		for _, server := range []bool{true, false} {
			other := open(server)
			if w := warning(other, s.T, "hook_bypassed"); w == nil || w.Severity != mirror.SeverityWarning {
				s.Errorf("the other process: %+v", w)
			} else {
				spokenTo(s.T, w.Remedy, server)
			}
		}
		if strings.Count(logs.String(), `"code":"hook_bypassed"`) != 2 {
			s.Errorf("the log is\n%s", logs.String())
		}
		s.later()
		if w := warning(before, s.T, "hook_bypassed"); w == nil {
			s.Error("a process that ran before does not warn")
		}
		if w := warning(application, s.T, "hook_bypassed"); w != nil {
			s.Errorf("the application itself: %+v", w)
		}
		config := s.clerk.Config()
		config.Logger = logs.Logger()
		if err := clerksync.Migrate(s.Context(), driver.NewHandle(s.backend()), config); err != nil {
			s.Fatal(err)
		}
		if strings.Count(logs.String(), `"code":"hook_bypassed"`) != 3 {
			s.Errorf("Migrate does not say it:\n%s", logs.String())
		}
		if err := clerksync.ForgetOnChange(s.Context(), driver.NewHandle(s.backend())); err != nil {
			s.Fatal(err)
		}
		s.later()
		if w := warning(before, s.T, "hook_bypassed"); w != nil {
			s.Errorf("after ForgetOnChange: %+v", w)
		}
		if open(true); strings.Count(logs.String(), `"code":"hook_bypassed"`) != 3 {
			s.Errorf("the log after ForgetOnChange is\n%s", logs.String())
		}
	})
}

// Calls that are slow again and again cause a warning.
func TestSlowOnChangeIsWarned(t *testing.T) {
	t.Parallel()
	onSharedDatabase(t, func(s *shared) {
		m := s.mirror(func(c *clerksync.Config) {
			c.OnChange = func(context.Context, *clerksync.Tx, []mirror.Change) error {
				<-time.After(60 * time.Millisecond)
				return nil
			}
		})
		for i := range 5 {
			if w := warning(m, s.T, "hook_slow"); w != nil {
				s.Errorf("after %d calls: %+v", i, w)
			}
			object := json.RawMessage(`{"object":"user","id":"user_` + string(rune('a'+i)) + `","updated_at":1790000000000}`)
			if _, err := m.Users().Apply(s.Context(), object); err != nil {
				s.Fatal(err)
			}
			s.later()
		}
		if w := warning(m, s.T, "hook_slow"); w == nil || !strings.Contains(w.Message, "5 of the last 100 calls") {
			s.Errorf("the warning is %+v", w)
		}
	})
}

// Methods that write the mirror are refused inside OnChange with its context.
func TestMirrorInsideOnChange(t *testing.T) {
	t.Parallel()
	onSharedDatabase(t, func(s *shared) {
		var m *clerksync.Mirror
		calls := 0
		m = s.mirror(func(c *clerksync.Config) {
			c.OnChange = func(ctx context.Context, _ *clerksync.Tx, _ []mirror.Change) error {
				calls++
				_, err := m.Users().Apply(ctx, json.RawMessage(`{"object":"user","id":"user_2"}`))
				err2 := m.Users().Delete(ctx, "user_1")
				_, _, err3 := m.Users().Erase(ctx, "user_1")
				_, err4 := m.Deliveries().ReplayAll(ctx, mirror.DeliveryFilter{}, mirror.ReplayOptions{})
				_, err5 := m.Sync().Backfill(ctx, nil)
				for _, err := range []error{err, err2, err3, err4, err5, m.Deliveries().Dismiss(ctx, []string{"msg_1"}, mirror.By{Actor: "ops"})} {
					if !errors.Is(err, clerksync.ErrInsideOnChange) || clerksync.ErrorCode(err) != "inside_on_change" {
						s.Errorf("not refused: %v", err)
					}
				}
				if _, err := m.Users().ByClerkID(ctx, "user_1"); !errors.Is(err, clerksync.ErrNotFound) { // the state before
					s.Errorf("a read: %v", err)
				}
				return nil
			}
		})
		if _, err := m.Users().Apply(s.Context(), json.RawMessage(`{"object":"user","id":"user_1","updated_at":1790000000000}`)); err != nil {
			s.Fatal(err)
		}
		if calls != 1 {
			s.Errorf("%d calls", calls)
		}
	})
}

// A user who is read from Clerk while a request waits, and whom OnChange refuses, is not let in,
// and is not read again for each request.
func TestOnChangeRefusesAUserOnDemand(t *testing.T) {
	t.Parallel()
	onSharedDatabase(t, func(s *shared) {
		calls := 0
		m := s.mirror(func(c *clerksync.Config) {
			c.OnChange = func(context.Context, *clerksync.Tx, []mirror.Change) error {
				calls++
				return errors.New("no plan")
			}
		})
		user := s.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
		token := s.clerk.TokenFor(clerktest.TokenOptions{UserID: user, SessionID: s.clerk.SignIn(user)})
		for range 3 {
			if code := s.code(m, token, nil); code != clerksync.CodeUserNotRegistered {
				s.Errorf("the code is %q", code)
			}
		}
		if calls != 1 {
			s.Errorf("OnChange was called %d times", calls)
		}
	})
}

// Each call is measured, by its outcome.
func TestOnChangeIsMeasured(t *testing.T) {
	t.Parallel()
	onSharedDatabase(t, func(s *shared) {
		reader := metric.NewManualReader()
		fail := false
		m := s.mirror(func(c *clerksync.Config) {
			c.MeterProvider = metric.NewMeterProvider(metric.WithReader(reader))
			c.OnChange = func(context.Context, *clerksync.Tx, []mirror.Change) error {
				if fail {
					return errors.New("no plan")
				}
				return nil
			}
		})
		for i, id := range []string{"user_1", "user_2", "user_3"} {
			fail = i == 2
			_, _ = m.Users().Apply(s.Context(), json.RawMessage(`{"object":"user","id":"`+id+`","updated_at":1790000000000}`))
		}
		var all metricdata.ResourceMetrics
		if err := reader.Collect(s.Context(), &all); err != nil {
			s.Fatal(err)
		}
		counts := map[string]uint64{}
		for _, scope := range all.ScopeMetrics {
			for _, x := range scope.Metrics {
				if h, ok := x.Data.(metricdata.Histogram[float64]); ok && x.Name == "clerksync.hook.duration" {
					for _, p := range h.DataPoints {
						outcome, _ := p.Attributes.Value("outcome")
						counts[outcome.AsString()] = p.Count
					}
				}
			}
		}
		if counts["ok"] != 2 || counts["failed"] != 1 {
			s.Errorf("measured %v", counts)
		}
	})
}
