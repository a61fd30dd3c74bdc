package clerksync_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/sqlite"
)

// List and page users for a front end: GET /users?q=TEXT&after=CURSOR answers with {"items": […],
// "next": CURSOR}. JSON of a user never has private metadata in it.
func ExampleUsers_List() {
	ctx := context.Background()
	db, err := sqlite.Open(sqlite.Memory)
	if err != nil {
		log.Fatal(err)
	}
	m, err := clerksync.New(ctx, db, clerksync.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	for i, name := range []string{"Ada", "Bob", "Cleo"} { // events and Run do this in a real service
		object := fmt.Sprintf(`{"object":"user","id":"user_%d","first_name":%q,"created_at":%d,
			"updated_at":1790000000000,"private_metadata":{"margin":7}}`, i, name, 1780000000000+i)
		if _, err := m.Users().Apply(ctx, json.RawMessage(object)); err != nil {
			log.Fatal(err)
		}
	}

	cursor := ""
	for {
		w := httptest.NewRecorder()
		listUsers(m)(w, httptest.NewRequest(http.MethodGet, "/users?after="+url.QueryEscape(cursor), nil))
		if strings.Contains(w.Body.String(), "margin") {
			log.Fatal("private metadata is shown")
		}
		var page mirror.Page[mirror.User]
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
			log.Fatal(err)
		}
		for _, user := range page.Items {
			fmt.Println(user.ClerkUserID, user.FirstName)
		}
		if page.Next == "" {
			break
		}
		fmt.Println("next page")
		cursor = string(page.Next)
	}
	// Output:
	// user_2 Cleo
	// user_1 Bob
	// next page
	// user_0 Ada
}

// listUsers serves one page of users, newest first. Mount it behind Require: the list is personal
// data.
func listUsers(m *clerksync.Mirror) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		page, err := m.Users().List(r.Context(), mirror.UserFilter{
			Search: query.Get("q"),
			After:  mirror.Cursor(query.Get("after")),
			Limit:  2,
		})
		switch {
		case errors.Is(err, clerksync.ErrInvalidCursor):
			http.Error(w, "the parameter after is not a cursor of this list", http.StatusBadRequest)
		case err != nil:
			http.Error(w, "the users cannot be read", http.StatusInternalServerError)
		default:
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(page) // it fails only if the client has gone
		}
	}
}
