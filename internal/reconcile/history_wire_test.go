package reconcile_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"pgregory.net/rapid"
)

// wire is a transport to an emulated Backend API, with the faults of a script.
type wire struct {
	*side
	page   int
	script []cue
	cancel context.CancelFunc
	// lies are objects that were reported as missing, and since when. Replicas lag less than a
	// minute, so two such answers a minute apart are true.
	lies map[string]time.Time
}

// cue is what happens to one request.
type cue struct {
	what   string
	change change
	n      int
}

func drawScript(t *rapid.T) []cue {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) cue {
		return cue{rapid.SampledFrom([]string{
			"well", "well", "well", "well", "change", "change", "change after", "deliver", "deliver", "pause", "429", "500", "cut", "nothing", "lag", "lag", "short", "end", "refuse", "undated",
		}).Draw(t, "cue"), drawChange(t), rapid.IntRange(0, 30).Draw(t, "n")}
	}), 0, 16).Draw(t, "script")
}

func (w *wire) hear(script []cue, cancel context.CancelFunc) { w.script, w.cancel = script, cancel }

// RoundTrip implements [http.RoundTripper].
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	var c cue
	if len(w.script) > 0 {
		c, w.script = w.script[0], w.script[1:]
	}
	time.Sleep(time.Duration(c.n%3) * time.Millisecond)
	recorder := httptest.NewRecorder()
	switch c.what {
	case "429":
		recorder.Header().Set("Retry-After", "1")
		return w.fail(r, recorder, http.StatusTooManyRequests), nil
	case "500":
		return w.fail(r, recorder, http.StatusInternalServerError), nil
	case "refuse":
		recorder.Header().Set("Clerk-Api-Version", "2026-05-12")
		return w.fail(r, recorder, []int{http.StatusBadRequest, http.StatusForbidden, http.StatusUnprocessableEntity}[c.n%3]), nil
	case "change":
		w.do(c.change)
	case "deliver":
		w.deliver(c.n, false)
	case "pause":
		time.Sleep(time.Duration(c.n) * 100 * time.Millisecond)
	case "end":
		w.cancel()
	}
	received := r.Clone(r.Context())
	received.Body = http.NoBody
	w.clerk.ServeHTTP(recorder, received)
	if c.what == "change after" { // Date is later than the read of the rows
		w.do(c.change)
		w.deliver(c.n, false)
		time.Sleep(time.Duration(c.n) * 50 * time.Millisecond)
	}
	res := recorder.Result()
	body := recorder.Body.Bytes()
	switch {
	case res.StatusCode != http.StatusOK:
	case c.what == "cut":
		body = body[:len(body)/2]
	case c.what == "nothing" || c.what == "short" || c.what == "lag":
		body = w.alter(res, c, body)
	}
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	if res.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat)); c.what == "undated" {
		res.Header.Del("Date")
	}
	res.Request = r
	return res, nil
}

func (w *wire) fail(r *http.Request, recorder *httptest.ResponseRecorder, status int) *http.Response {
	recorder.Header().Set("Content-Type", "application/json")
	recorder.WriteHeader(status)
	_, _ = recorder.WriteString(`{"errors":[{"code":"oops","message":"oops"}]}`)
	res := recorder.Result()
	res.Request = r
	return res
}

// alter makes a wrong answer: a list without rows or without its last one, or that of a replica
// that lacks an object.
func (w *wire) alter(res *http.Response, c cue, body []byte) []byte {
	var list struct {
		Data  []map[string]any `json:"data"`
		Total int              `json:"total_count"`
	}
	bare := json.Unmarshal(body, &list.Data) == nil
	if !bare && (json.Unmarshal(body, &list) != nil || list.Data == nil) {
		if id, found := single(body); found && c.what == "lag" && w.lie(id) {
			res.StatusCode = http.StatusNotFound
			return []byte(`{"errors":[{"code":"resource_not_found","message":"not found"}]}`)
		}
		return body
	}
	switch {
	case len(list.Data) == 0:
		return body
	case c.what == "nothing":
		list.Data = list.Data[:0]
	case c.what == "short":
		list.Data = list.Data[:len(list.Data)-1]
	default:
		i := c.n % len(list.Data)
		if id, _ := list.Data[i]["id"].(string); !w.lie(id) {
			return body
		}
		list.Data = append(list.Data[:i:i], list.Data[i+1:]...)
		list.Total--
	}
	if bare {
		return encode(list.Data)
	}
	return encode(list)
}

// lie reports whether an object may be reported as missing.
func (w *wire) lie(id string) bool {
	first, known := w.lies[id]
	if !known {
		w.lies[id] = time.Now()
		return true
	}
	return time.Since(first) < 55*time.Second
}

func single(body []byte) (id string, found bool) {
	var o struct {
		ID    string          `json:"id"`
		Total json.RawMessage `json:"total_count"`
	}
	return o.ID, json.Unmarshal(body, &o) == nil && o.ID != "" && !strings.Contains(o.ID, " ") && o.Total == nil
}

// encode encodes altered answers.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
