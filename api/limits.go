package api

import (
	"cmp"
	"net/http"
	"sync"

	"github.com/clerksync/clerksync/internal/web"
)

// limits bounds how many streams and long polls are served at a time.
type limits struct {
	all, each int

	mu      sync.Mutex
	open    int
	clients map[string]int // open ones by client
}

func newLimits(o Options) *limits {
	return &limits{
		all: cmp.Or(o.MaxStreams, defaultMaxStreams), each: cmp.Or(o.MaxStreamsPerClient, defaultMaxStreamsPerClient),
		clients: map[string]int{},
	}
}

// enter takes one of the places, until the function that it returns is called.
func (l *limits) enter(client string) (leave func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.clients[client] >= l.each {
		return nil, tooMany(http.StatusTooManyRequests, "too_many_streams", "This client has too many streams open. Close some of them")
	}
	if l.open >= l.all {
		return nil, tooMany(http.StatusServiceUnavailable, "server_busy", "The server has too many streams open. Try again later")
	}
	l.open++
	l.clients[client]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.open--
		if l.clients[client]--; l.clients[client] == 0 {
			delete(l.clients, client)
		}
	}, nil
}

func tooMany(status int, code, detail string) error {
	return &web.Problem{Status: status, Code: code, Detail: detail, Header: http.Header{"Retry-After": {"15"}}}
}
