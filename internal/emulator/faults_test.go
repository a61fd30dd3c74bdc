package emulator_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
)

// duration is one in JSON.
func duration(d time.Duration) emulator.Duration { return emulator.Duration(d) }

// offsets are the hours of a message's attempts after the event.
func offsets(m emulator.Message) []time.Duration {
	all := []time.Duration{}
	for _, a := range m.Attempts {
		all = append(all, a.At.Sub(m.At))
	}
	return all
}

// svixSchedule is when Svix's eight attempts are made.
func svixSchedule() []time.Duration {
	at, all := time.Duration(0), []time.Duration{0}
	for _, wait := range []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour} {
		at += wait
		all = append(all, at)
	}
	return all
}

func TestRetriesFollowSvixsSchedule(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		respond  func(n int, w http.ResponseWriter)
		attempts int
		state    string
	}{
		"always 500":     {fails(500), 8, "failed"},
		"always 400":     {fails(400), 8, "failed"},
		"a redirect":     {fails(302), 8, "failed"},
		"not modified":   {fails(304), 8, "failed"},
		"200":            {nil, 1, "delivered"},
		"204":            {fails(204), 1, "delivered"},
		"299":            {fails(299), 1, "delivered"},
		"good at last":   {func(n int, w http.ResponseWriter) { w.WriteHeader([]int{503, 200}[n/7]) }, 8, "delivered"},
		"good the third": {func(n int, w http.ResponseWriter) { w.WriteHeader([]int{503, 200}[n/2]) }, 3, "delivered"},
		"abort":          {control("abort-message", 400), 1, "aborted"},
		"abort, written otherwise, the second": {func(n int, w http.ResponseWriter) {
			control([]string{"", "Abort-Message"}[n], 500)(n, w)
		}, 2, "aborted"},
		"abort of what is good": {control("abort-message", 200), 1, "delivered"},
		"disable":               {control("disable", 410), 1, "disabled"},
		"an unknown wish":       {control("please", 500), 8, "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClerk(t, emulator.Options{})
				r := c.listen(test.respond)
				c.user("ada@example.com")
				c.exhaust()
				m := c.Deliveries()[0]
				if m.State != test.state || len(r.deliveries()) != test.attempts || !slices.Equal(offsets(m), svixSchedule()[:test.attempts]) {
					t.Errorf("%s after attempts at %v", m.State, offsets(m))
				}
				for _, d := range r.deliveries() {
					if d.id() != m.ID {
						t.Errorf("an attempt has the id %s, the message %s", d.id(), m.ID)
					}
				}
				states := fmt.Sprint(c.call("GET", "/_emulator/state", nil)["deliveries"])
				if want := "map[" + test.state + ":1]"; states != want {
					t.Errorf("the state shows %s, want %s", states, want)
				}
			})
		})
	}
}

// control returns the header with which receivers control Svix.
func control(wish string, status int) func(int, http.ResponseWriter) {
	return func(_ int, w http.ResponseWriter) {
		w.Header().Set("Webhook-Delivery", wish)
		w.WriteHeader(status)
	}
}

// Retries that were planned before the endpoint was disabled are not sent, nor are new messages.
func TestDisabledEndpointGetsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClerk(t, emulator.Options{Workers: 1})
		r := c.listen(func(n int, w http.ResponseWriter) { control([]string{"", "", "disable"}[min(n, 2)], 500)(n, w) })
		for _, name := range []string{"first", "second", "third", "fourth"} {
			c.user(name + "@example.com")
			c.settle()
		}
		c.exhaust()
		var states []string
		for _, m := range c.Deliveries() {
			states = append(states, fmt.Sprint(m.State, len(m.Attempts)))
		}
		if got := strings.Join(states, " "); got != "disabled1 disabled1 disabled1 disabled0" || len(r.deliveries()) != 3 {
			t.Errorf("messages %s after %d requests", got, len(r.deliveries()))
		}
		webhooks := fmt.Sprint(c.call("GET", "/_emulator/state", nil)["webhooks"])
		if webhooks != "[map[disabled:true secrets:1 url:]]" {
			t.Errorf("webhooks %s", webhooks)
		}
		c.call("POST", "/_emulator/deliveries/"+c.Deliveries()[3].ID+"/replay", nil) // who replays has mended it
		c.settle()
		if len(r.deliveries()) != 4 {
			t.Error("a replay enables the endpoint again")
		}
	})
}

// An endpoint is disabled that fails for five days, which begin when failures lie twelve hours
// apart; a success restarts the count.
func TestEndpointIsDisabledAfterFiveDaysOfFailures(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		good time.Duration // when an attempt succeeds; 0 is never
		want time.Duration
	}{
		"all fail":              {0, 12*time.Hour + 5*24*time.Hour},
		"one success, then not": {24 * time.Hour, 25*time.Hour + 35*time.Minute + 5*time.Second + 12*time.Hour + 5*24*time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClerk(t, emulator.Options{Workers: 1})
				start := c.Now()
				passed := func() time.Duration { return c.Now().Sub(start) }
				c.listen(func(_ int, w http.ResponseWriter) {
					if test.good == 0 || passed() != test.good {
						w.WriteHeader(500)
					}
				})
				disabled := func() bool {
					c.settle()
					state := c.call("GET", "/_emulator/state", nil)
					return state["webhooks"].([]any)[0].(object)["disabled"] == true
				}
				for i := range 40 { // an event each six hours
					c.user(fmt.Sprint(i, "@example.com"))
					for next := c.Now(); !disabled() && next.Before(start.Add(time.Duration(i+1)*6*time.Hour)); next, _ = c.Pending() {
						c.Advance(next.Sub(c.Now()))
					}
					if disabled() {
						break
					}
					c.Advance(start.Add(time.Duration(i+1) * 6 * time.Hour).Sub(c.Now()))
				}
				if passed() != test.want {
					t.Errorf("disabled after %s, want %s", passed(), test.want)
				}
			})
		})
	}
}

// summary is a message as a fault left it, in one line: its state, and of each attempt the status
// or the fault.
func summary(m emulator.Message) string {
	parts := []string{m.State}
	for _, a := range m.Attempts {
		part := strconv.Itoa(a.Status)
		if a.Fault != "" {
			part = a.Fault + ":" + part
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " ")
}

func TestFaultsOfDelivery(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		faults   emulator.Faults
		want     string // summary of the message after half an hour
		requests int    // that came in
	}{
		"none":            {emulator.Faults{}, "delivered 200", 1},
		"duplicate":       {emulator.Faults{Duplicate: 1}, "delivered 200 duplicate:200", 2},
		"fail":            {emulator.Faults{Fail: 1}, "pending fail:0 fail:0 fail:0", 0},
		"unheard":         {emulator.Faults{Unheard: 1}, "pending unheard:0 unheard:0 unheard:0", 3},
		"drop":            {emulator.Faults{Drop: 1}, "dropped", 0},
		"wrong signature": {emulator.Faults{WrongSignature: 1}, "delivered wrong_signature:200 200", 2},
		"wrong instance":  {emulator.Faults{WrongInstance: 1}, "delivered wrong_instance:200 200", 2},
		"outage":          {emulator.Faults{Outage: duration(time.Minute)}, "delivered outage:0 outage:0 200", 1},
		"long outage":     {emulator.Faults{Outage: duration(10 * time.Hour)}, "pending outage:0 outage:0 outage:0", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClerk(t, emulator.Options{Workers: 1})
				r := c.listen(nil)
				c.faults(test.faults)
				c.user("ada@example.com")
				for range 2 {
					c.settle()
					next, waits := c.Pending()
					if !waits {
						break
					}
					c.Advance(next.Sub(c.Now()))
				}
				c.settle()
				if got := summary(c.Deliveries()[0]); got != test.want || len(r.deliveries()) != test.requests {
					t.Errorf("%s after %d requests, want %s after %d", got, len(r.deliveries()), test.want, test.requests)
				}
			})
		})
	}
}

func TestOutageOfTenHours(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClerk(t, emulator.Options{})
		r := c.listen(nil)
		c.faults(emulator.Faults{Outage: duration(10 * time.Hour)})
		c.user("ada@example.com")
		c.exhaust()
		m := c.Deliveries()[0]
		if m.State != "delivered" || len(r.deliveries()) != 1 || offsets(m)[6] != svixSchedule()[6] || len(m.Attempts) != 7 {
			t.Errorf("%s, attempts at %v", summary(m), offsets(m))
		}
	})
}

// Another instance's event has its own id and is well signed: only its instance tells.
func TestWrongInstance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClerk(t, emulator.Options{Workers: 1})
		r := c.listen(nil)
		c.faults(emulator.Faults{WrongInstance: 1})
		c.user("ada@example.com")
		c.settle()
		var instances []string
		for _, d := range r.deliveries() {
			var e struct {
				Instance string `json:"instance_id"`
			}
			decode(t, d.body, &e)
			instances = append(instances, e.Instance)
			if judged(t, webhookSecret, d) != bothLibraries {
				t.Error("not well signed")
			}
		}
		if len(instances) != 2 || instances[0] == c.ID || !strings.HasPrefix(instances[0], "ins_") || instances[1] != c.ID || r.deliveries()[0].id() == r.deliveries()[1].id() {
			t.Errorf("instances %v", instances)
		}
	})
}

func TestFaultsOfTime(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		faults       emulator.Faults
		within       time.Duration // of the event
		late, mixed  bool          // some come later than at once; in another order
		togetherEach time.Duration
	}{
		"none":               {emulator.Faults{}, 0, false, false, 0},
		"reorder":            {emulator.Faults{Reorder: 1}, 200 * time.Millisecond, true, true, 0},
		"reorder for longer": {emulator.Faults{Reorder: 0.5, ReorderWindow: duration(time.Hour)}, time.Hour, true, true, 0},
		"delay":              {emulator.Faults{Delay: 1}, time.Minute, true, true, 0},
		"delay for days":     {emulator.Faults{Delay: 0.5, DelayMax: duration(48 * time.Hour)}, 48 * time.Hour, true, true, 0},
		"burst":              {emulator.Faults{Burst: duration(time.Hour)}, time.Hour, true, false, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClerk(t, emulator.Options{Workers: 1})
				r := c.listen(nil)
				c.faults(test.faults)
				const events = 50
				for i := range events {
					c.made("/v1/users", object{"username": fmt.Sprintf("user%d", i)})
					c.settle()
					c.Advance(time.Millisecond)
				}
				c.exhaust()
				var sent, received []string
				late := false
				for _, m := range c.Deliveries() {
					sent = append(sent, m.ID)
					at := m.Attempts[0].At
					if late = late || at.After(m.At.Add(time.Millisecond)); m.State != "delivered" || at.After(m.At.Add(test.within+time.Millisecond)) {
						t.Errorf("%s after %s", m.State, at.Sub(m.At))
					}
					if each := test.togetherEach; each > 0 && !at.Equal(at.Truncate(each)) {
						t.Errorf("sent at %s, by itself", at)
					}
				}
				for _, d := range r.deliveries() {
					received = append(received, d.id())
				}
				if late != test.late || slices.Equal(sent, received) == test.mixed || len(received) != events {
					t.Errorf("late: %v, in order: %v, %d of %d", late, slices.Equal(sent, received), len(received), events)
				}
			})
		})
	}
}

func TestFaultsOfTheAPI(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClerk(t, emulator.Options{Users: 30})
		all := ids(c.list("/v1/users?limit=30"))
		with := func(f emulator.APIFaults) { t.Helper(); c.faults(emulator.Faults{API: f}) }

		with(emulator.APIFaults{TooMany: 1})
		c.refused(http.StatusTooManyRequests, "too_many_requests", "GET", "/v1/users", nil)
		if got := c.do("GET", "/v1/users", nil).header.Get("Retry-After"); got != "1" {
			t.Errorf("Retry-After %q", got)
		}
		if err := c.Call(t.Context(), "GET", "/v1/users", nil, nil); err != nil {
			t.Errorf("a call in this process: %v", err)
		}

		with(emulator.APIFaults{ServerError: 1})
		statuses := map[int]bool{}
		for range 50 {
			a := c.do("POST", "/v1/users", object{"username": "xxxx"})
			statuses[a.status] = true
			if !strings.Contains(string(a.body), "internal_clerk_error") {
				t.Errorf("%d %s", a.status, a.body)
			}
		}
		if len(statuses) != 3 || !statuses[500] || !statuses[502] || !statuses[503] {
			t.Errorf("statuses %v", statuses)
		}
		if n := c.call("GET", "/_emulator/state", nil)["counts"].(object)["users"]; n != 30.0 {
			t.Errorf("%v users: a refused request made one", n)
		}

		for _, slow := range []time.Duration{0, 3 * time.Second} {
			with(emulator.APIFaults{Slow: 1, SlowFor: duration(slow)})
			before := time.Now()
			c.list("/v1/users")
			if got := time.Since(before); got != cmp.Or(slow, time.Second) {
				t.Errorf("answered after %s", got)
			}
		}

		with(emulator.APIFaults{PageShift: 1})
		for query, start := range map[string]int{"offset=10": 11, "offset=0": 0, "": 0, "starting_after=" + all[9]: 10} {
			if got := ids(c.list("/v1/users?" + query)); !slices.Equal(got, all[start:start+10]) {
				t.Errorf("%s: the page does not begin at row %d", query, start)
			}
		}
		c.faults(emulator.Faults{})
		if got := ids(c.list("/v1/users?offset=10")); !slices.Equal(got, all[10:20]) {
			t.Error("the fault outlives its end")
		}
	})
}

func TestTruncatedAnswersBreakOff(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{Users: 30})
	c.faults(emulator.Faults{API: emulator.APIFaults{Truncate: 1}})
	server := httptest.NewUnstartedServer(c)
	server.Config.ErrorLog = nil
	server.Start()
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/v1/users", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.key)
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if !errors.Is(err, io.ErrUnexpectedEOF) || len(body) == 0 || json.Valid(body) || response.StatusCode != http.StatusOK {
		t.Errorf("%d, %d bytes, error %v", response.StatusCode, len(body), err)
	}
}

func TestFaultConfiguration(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	path := "/_emulator/faults"
	for name, test := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"nothing":            {`{}`, 200, ""},
		"everything":         {`{"duplicate":1,"reorder":0.5,"reorder_window":"1h","outage":"10h","api":{"slow":1,"slow_for":"250ms"}}`, 200, ""},
		"more than always":   {`{"drop":1.01}`, 422, "form_param_value_invalid"},
		"less than never":    {`{"api":{"truncate":-0.1}}`, 422, "form_param_value_invalid"},
		"a negative time":    {`{"outage":"-1s"}`, 422, "form_param_value_invalid"},
		"a time without":     {`{"outage":"10"}`, 400, "request_body_invalid"},
		"a time as a number": {`{"outage":10}`, 400, "request_body_invalid"},
		"a rate as a text":   {`{"drop":"0.5"}`, 422, "form_param_format_invalid"},
		"an unknown fault":   {`{"fire":1}`, 422, "form_param_unknown"},
	} {
		c.call("DELETE", path, nil)
		a := c.do("PUT", path, test.body)
		if a.status != test.status || !strings.Contains(string(a.body), test.code) {
			t.Errorf("%s: %d %s, want %d %s", name, a.status, a.body, test.status, test.code)
		}
		if changed := c.Faults() != (emulator.Faults{}); changed != (name == "everything") {
			t.Errorf("%s: faults %+v", name, c.Faults())
		}
	}
	f := emulator.Faults{Duplicate: 0.25, Outage: duration(90 * time.Minute), API: emulator.APIFaults{PageShift: 1}}
	c.faults(f)
	var read emulator.Faults
	if decode(t, c.do("GET", path, nil).body, &read); read != f {
		t.Errorf("reads %+v, want %+v", read, f)
	}
}

func TestOldMessagesAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClerk(t, emulator.Options{History: 3})
		c.listen(nil)
		for i := range 10 {
			c.made("/v1/users", object{"username": fmt.Sprintf("user%d", i)})
			c.settle()
		}
		if n := len(c.Deliveries()); n != 3 {
			t.Errorf("%d messages are kept, want 3", n)
		}
	})
}

// An event that someone has, such as one of another instance, is sent as an event of this one.
func TestEventOfAnotherInstanceIsSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClerk(t, emulator.Options{Workers: 1})
		const event = `{"data":{"id":"user_1","n":12345678901234567890},"instance_id":"ins_other","timestamp":1780000000000,"type":"user.updated"}`
		c.refused(http.StatusUnprocessableEntity, "form_param_value_invalid", "POST", "/_emulator/deliveries", event) // no endpoint yet
		r := c.listen(nil)
		id := c.made("/_emulator/deliveries", event)
		c.settle()
		if got := r.deliveries(); len(got) != 1 || got[0].id() != id || judged(t, webhookSecret, got[0]) != bothLibraries ||
			string(got[0].body) != strings.Replace(event, "ins_other", c.ID, 1) {
			t.Errorf("got %+v, want %s", got, id)
		}
		for _, bad := range []string{`[]`, `null`, `{"data":{}}`, `{"type":5}`, `{`} {
			if a := c.do("POST", "/_emulator/deliveries", bad); a.status != http.StatusUnprocessableEntity {
				t.Errorf("%s: %d %s", bad, a.status, a.body)
			}
		}
	})
}
