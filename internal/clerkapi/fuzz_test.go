package clerkapi

import (
	"errors"
	"net/http"
	"testing"

	"github.com/clerksync/clerksync/clerk"
)

// Whatever is answered, it is read or refused with a reason, and only Clerk's own 404 is a proof of
// absence.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		`[]`, `[{"id":"user_1","created_at":1}]`, `{"data":[{"id":"a"}],"total_count":1}`, `{"data":null,"total_count":0}`, `{"total_count":-1}`,
		`{"total_count":99999999999999999999}`, `[{"id":1}]`, `[null]`, `{"errors":[{"code":"resource_not_found"}]}`, `{"errors":{"code":1}}`, "", "{",
		`{"id":"user_1"}`, `{"data":[{"id":"m","public_user_data":{"user_id":"user_1"}}],"total_count":1}`, `{"data":[{"id":""}],"total_count":1e3}`,
	} {
		for _, status := range []int{200, 204, 302, 401, 404, 429, 500} {
			f.Add(status, "application/json", body, "3")
		}
	}
	f.Add(404, "text/html", "<html>", "Wed, 21 Oct 2026 07:28:00 GMT")
	f.Fuzz(func(t *testing.T, status int, contentType, body, retry string) {
		if status < 200 || status > 599 {
			return
		}
		c := client(t, failing{errors.New("not asked")})
		res := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}, "Retry-After": {retry}}}
		value, err := c.read(request{}, res, []byte(body))
		var failed *Error
		if err != nil && (!errors.As(err, &failed) || failed.Reason == nil || value.Exists()) || err == nil && status != http.StatusOK {
			t.Fatalf("%v, %v", value, err)
		}
		if errors.Is(err, ErrNotFound) && (status != http.StatusNotFound || failed.Code != "resource_not_found") {
			t.Errorf("%d %q proves absence", status, body)
		}
		if failed != nil && (failed.RetryAfter < 0 || failed.RetryAfter > longestRetryAfter) {
			t.Errorf("retry after %v", failed.RetryAfter)
		}
		for _, bare := range []bool{true, false} {
			rows, total, err := decodePage(value, bare)
			if err == nil && (bare != value.IsArray() || total < -1) {
				t.Errorf("%q: %d rows of %d", body, len(rows), total)
			}
			for _, row := range rows {
				if !row.IsObject() || row.Get("id").String() == "" {
					t.Errorf("%q: a row without id", body)
				}
			}
		}
		for _, ref := range []Ref{user("user_1"), {Kind: clerk.KindMembership, UserID: "user_1", OrganizationID: "org_1"}} {
			r := Reading{Ref: ref}
			if failed := r.extract(value); (failed == nil) != r.Body.Exists() {
				t.Errorf("%q: %v, %v", body, r.Body, failed)
			}
		}
	})
}

// A cursor is read back or refused.
func FuzzCursor(f *testing.F) {
	f.Add("")
	f.Add(string((&place{last: "user_1", at: 5, twins: []string{"user_1", "user_2"}, seen: 2, total: 9, cut: true}).cursor(All(clerk.KindUser))))
	f.Fuzz(func(t *testing.T, text string) {
		list := All(clerk.KindUser)
		p, err := Cursor(text).place(list)
		if err != nil {
			return
		}
		again, err := p.cursor(list).place(list)
		if err != nil || again.last != p.last || again.at != p.at || again.seen != p.seen || again.offset != p.offset || len(again.twins) != len(p.twins) {
			t.Errorf("%q: %+v, %+v, %v", text, p, again, err)
		}
	})
}
