package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/api"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/sqlite"
)

// Serve the change feed from a program of your own, and read it.
func Example() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	db, err := sqlite.Open(filepath.Join(folder, "clerk.db"))
	if err != nil {
		log.Fatal(err)
	}
	mirror, err := clerksync.New(ctx, db, clerksync.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer mirror.Close()
	mux := http.NewServeMux()
	mux.Handle("/api/changes", api.New(mirror, api.Options{
		OperatorToken: "a-long-random-token-from-your-settings",
		Rule:          auth.Role("admin"), // optional: these users may read it, too
	}))
	server := httptest.NewServer(mux)
	defer server.Close()

	if _, err := mirror.Users().Apply(ctx, json.RawMessage(`{"object": "user", "id": "user_ada", "updated_at": 1780000000000}`)); err != nil {
		log.Fatal(err)
	}

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/api/changes?after=0&kind=users", http.NoBody)
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer a-long-random-token-from-your-settings")
	response, err := server.Client().Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	var page struct {
		Data []struct {
			Type, ID string
		}
		CaughtUp bool `json:"caught_up"`
	}
	if err := json.NewDecoder(response.Body).Decode(&page); err != nil {
		log.Fatal(err)
	}
	fmt.Println(response.Status, page.Data, page.CaughtUp)
	// Output: 200 OK [{user.created user_ada}] true
}
