package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// follower is a consumer in another system: it has the URL of a server and an operator token.
type follower struct {
	*instance
	public, operator string // addresses
	token            string
	client           http.Client
	served           atomic.Int64 // answers in the present life of the server
	failures         int
}

func newFollower(c *instance) *follower {
	f := &follower{instance: c, token: strings.Repeat("operator", 5)}
	for _, address := range []*string{&f.public, &f.operator} {
		l, err := new(net.ListenConfig).Listen(c.Context(), "tcp", "127.0.0.1:0")
		c.must(err)
		*address = l.Addr().String()
		c.must(l.Close())
	}
	return f
}

// start starts the server.
func (f *follower) start() *exec.Cmd {
	f.Helper()
	cmd, _ := f.command("serve", "--listen", f.public, "--operator-listen", f.operator, "--log-format", "text")
	cmd.Env = append(cmd.Env, "CLERKSYNC_OPERATOR_TOKEN="+f.token, "CLERKSYNC_API_LIMIT=1000000")
	f.must(cmd.Start())
	f.served.Store(0)
	return cmd
}

// read reads a page over HTTP, as long as it takes until a server answers.
func (f *follower) read(ctx context.Context, q mirror.FeedQuery) (page mirror.FeedPage, err error) {
	v := url.Values{"limit": {strconv.Itoa(q.Limit)}, "wait": {strconv.Itoa(int(q.Wait / time.Second))}, "include": {"object"}}
	for name, value := range map[string]string{"after": string(q.After), "user": q.ClerkUserID, "organization": q.ClerkOrganizationID} {
		if value != "" {
			v.Set(name, value)
		}
	}
	for _, kind := range q.Snapshot {
		if q.After == "" {
			v.Add("snapshot", string(kind))
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+f.operator+"/api/changes?"+v.Encode(), http.NoBody)
	if err != nil {
		return page, err
	}
	request.Header.Set("Authorization", "Bearer "+f.token)
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
		var body []byte
		response, err := f.client.Do(request)
		if err == nil {
			body, err = io.ReadAll(response.Body)
			_ = response.Body.Close()
		}
		switch {
		case err != nil || response.StatusCode == http.StatusServiceUnavailable: // killed, or not yet there
			f.failures++
			continue
		case response.StatusCode == http.StatusTooManyRequests: // it follows as fast as it can
			<-time.After(time.Second)
			continue
		case response.StatusCode != http.StatusOK:
			return page, fmt.Errorf("%s: %s: %s", request.URL, response.Status, body)
		}
		f.served.Add(1)
		return page, json.Unmarshal(body, &page)
	}
	return page, errors.New("no server answered within two minutes")
}

// deliver passes a webhook on to the server, again and again until the server answers.
func (f *follower) deliver(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	for ; err == nil && r.Context().Err() == nil; <-time.After(20 * time.Millisecond) {
		out, err := http.NewRequestWithContext(r.Context(), http.MethodPost, "http://"+f.public+"/api/webhooks/clerk", bytes.NewReader(body))
		if err != nil {
			break
		}
		out.Header = r.Header.Clone()
		response, err := f.client.Do(out)
		if err != nil {
			continue
		}
		_ = response.Body.Close()
		if response.StatusCode == http.StatusOK {
			w.WriteHeader(http.StatusOK)
			return
		}
	}
	w.WriteHeader(http.StatusServiceUnavailable)
}

// A copy of the mirror that is made from the change feed alone, over HTTP, by a snapshot and what
// changes then, is equal to the live views, though the server is killed again and again while it
// backfills, takes webhooks and is read.
func TestAFollowerRebuildsTheMirrorThroughKills(t *testing.T) {
	t.Parallel()
	binary := build(t)
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			f := newFollower(newInstance(t, binary, engine, emulator.Options{Users: 150, Organizations: 12, Memberships: 200, NoChildEvents: true}))
			_, err := f.clerk.AddEndpoint(emulator.Target{Handler: http.HandlerFunc(f.deliver)}, secret)
			f.must(err)
			var others sync.WaitGroup
			living, stop := context.WithCancel(t.Context())
			var last *exec.Cmd
			defer func() {
				stop()
				others.Wait()
				_ = last.Process.Kill()
				_ = last.Wait()
			}()
			others.Go(func() { // people live
				for ; living.Err() == nil; <-time.After(10 * time.Millisecond) {
					if _, err := f.clerk.Step(living); err != nil && living.Err() == nil {
						t.Error(err)
						return
					}
				}
			})
			lives := make(chan struct{})
			others.Go(func() {
				defer close(lives)
				for life := range kills(10) + 1 {
					last = f.start()
					for answers := 3 + rand.Int64N(12); f.served.Load() < answers && living.Err() == nil && life < kills(10); {
						<-time.After(5 * time.Millisecond)
					}
					if life == kills(10) {
						return
					}
					_ = last.Process.Kill()
					_ = last.Wait()
				}
			})

			c := &testkit.Copy{Read: f.read, Limit: 10}
			pages := 0
			follow := func(until func(caughtUp bool) bool) {
				for end := time.Now().Add(5 * time.Minute); ; pages++ {
					caughtUp, err := c.Next(t.Context(), time.Second)
					f.must(err)
					if until(caughtUp) {
						return
					}
					if time.Now().After(end) {
						t.Fatal("the copy does not catch up")
					}
				}
			}
			follow(func(bool) bool {
				select {
				case <-lives:
					return true
				default:
					return false
				}
			})
			stop()
			f.must(f.clerk.Settle(t.Context()))
			var differences []string
			rows := 0
			for range 20 { // what the server reads from Clerk by itself may come between
				follow(func(caughtUp bool) bool { return caughtUp })
				differences, rows, err = c.Differences(t.Context(), f.raw)
				f.must(err)
				if len(differences) == 0 {
					break
				}
			}
			if len(differences) > 0 {
				t.Errorf("%d differences: %s", len(differences), strings.Join(differences[:min(10, len(differences))], "\n"))
			}
			if rows < 300 || c.Began != 1 || f.failures == 0 {
				t.Errorf("compared %d rows, after %d snapshots and %d requests that failed", rows, c.Began, f.failures)
			}
			t.Logf("%d rows are equal after %d kills, %d pages and %d requests that failed", rows, kills(10), pages, f.failures)
		})
	}
}
