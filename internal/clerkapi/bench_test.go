package clerkapi

import (
	"net/http/httptest"
	"testing"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
)

// BenchmarkWalk reads an emulator without a limit over a socket, in the same process.
func BenchmarkWalk(b *testing.B) {
	e := emulate(b, emulator.Options{Users: 20_000, Organizations: 500, Memberships: 60_000})
	server := httptest.NewServer(e)
	b.Cleanup(server.Close)
	for _, kind := range []clerk.Kind{clerk.KindUser, clerk.KindMembership} {
		b.Run(string(kind), func(b *testing.B) {
			rows := 0
			for b.Loop() {
				c := client(b, nil, func(config *Config) { config.URL = server.URL })
				w, err := c.Walk(b.Context(), All(kind), "", func(Page) error { return nil })
				if err != nil || !w.Complete {
					b.Fatal(w, err)
				}
				rows += w.Rows
				c.Close()
			}
			b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func BenchmarkObject(b *testing.B) {
	e := emulate(b, emulator.Options{Users: 1})
	server := httptest.NewServer(e)
	b.Cleanup(server.Close)
	c := client(b, nil, func(config *Config) { config.URL, config.Limit = server.URL, 1_000_000_000 })
	var id string
	for id = range live(b, e, All(clerk.KindUser)) {
		break
	}
	for b.Loop() {
		if _, err := c.Object(b.Context(), user(id), Interactive); err != nil {
			b.Fatal(err)
		}
	}
}
