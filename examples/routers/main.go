// Command routers shows a mirror in chi and in gin, which take net/http's middleware each in its own way.
//
//	cd examples/routers && go run . chi
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/sqlite"
)

func main() {
	db, err := sqlite.Open("clerk.db")
	if err != nil {
		log.Fatal(err)
	}
	m, err := clerksync.New(context.Background(), db, clerksync.Config{
		SecretKey:      os.Getenv("CLERK_SECRET_KEY"),
		WebhookSecrets: []string{os.Getenv("CLERK_WEBHOOK_SIGNING_SECRET")},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	router := chiRouter(m)
	if len(os.Args) > 1 && os.Args[1] == "gin" {
		router = ginRouter(m)
	}
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: router, ReadHeaderTimeout: 10 * time.Second}
	log.Print("listening on http://", server.Addr)
	log.Print(server.ListenAndServe())
}

func greet(w http.ResponseWriter, r *http.Request) {
	name := "stranger"
	if user, ok := clerksync.UserFromContext(r.Context()); ok {
		name = user.FirstName
	}
	fmt.Fprintf(w, "Hello, %s.\n", name)
}
