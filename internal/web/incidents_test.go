package web_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/internal/web"
)

// A failure that every request meets is one error in the log, and one a minute while it lasts. Each
// request keeps its access line, by which its request id is found.
func TestAFailureIsOneErrorOfTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var logs testenv.Logs
		mux := http.NewServeMux()
		mux.Handle("GET /broken", failing(errors.New("disk full")))
		mux.Handle("GET /busy", failing(&web.Problem{Status: 503, Code: "storage_unavailable"}))
		mux.HandleFunc("GET /panics", func(http.ResponseWriter, *http.Request) { panic("oops") })
		h := web.Standard(web.Config{Logger: logs.Logger()}, web.NotFoundAndMethod(mux))
		for range 100 {
			for _, path := range []string{"/broken", "/busy", "/panics"} {
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, http.NoBody))
			}
		}
		count := func() (levels, messages map[string]int) {
			levels, messages = map[string]int{}, map[string]int{}
			for _, e := range logs.Entries(t) {
				levels[e["level"].(string)]++
				messages[e["msg"].(string)]++
			}
			return levels, messages
		}
		levels, messages := count()
		if levels["ERROR"] != 4 || levels["INFO"] != 297 || messages["panic"] != 1 || messages["request"] != 300 {
			t.Errorf("at once: %v, %v", levels, messages)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		levels, messages = count()
		if levels["ERROR"] != 8 || messages["requests fail"] != 3 || messages["panic"] != 2 {
			t.Errorf("five minutes later: %v, %v", levels, messages)
		}
	})
}

// What a handler has reported itself leaves an access line for debugging alone.
func TestReportedProblemsAreQuiet(t *testing.T) {
	t.Parallel()
	var logs testenv.Logs
	h := web.Standard(web.Config{Logger: logs.Logger()}, failing(&web.Problem{Status: 503, Code: "server_busy", Reported: true}))
	h.ServeHTTP(httptest.NewRecorder(), get("/"))
	if entries := logs.Entries(t); len(entries) != 1 || entries[0]["level"] != "DEBUG" {
		t.Errorf("log:\n%s", &logs)
	}
}
