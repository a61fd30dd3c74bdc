package web

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"
	"weak"
)

// NewServer returns a server whose headers and times are bounded; [Listen] bounds its connections.
// A handler that legitimately takes longer, such as a stream, moves its own deadlines with
// [http.ResponseController].
func NewServer(addr string, h http.Handler) *http.Server {
	return &http.Server{
		Addr:              addr,
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    32 << 10,
	}
}

// Servers are HTTP servers that start and stop together.
type Servers struct {
	logger    *slog.Logger
	drain     time.Duration
	servers   []*http.Server
	listeners []net.Listener
	draining  chan struct{}
}

// ListenError is an address on which a server cannot listen.
type ListenError struct {
	Addr string // as it is configured
	Err  error
}

// Error returns the cause, which names the address.
func (e *ListenError) Error() string { return "listen: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *ListenError) Unwrap() error { return e.Err }

// Listen opens the servers' addresses, all or none. From then on connections
// queue, to be answered by [Servers.Serve], which also closes the listeners.
// Requests still running drain after the end of Serve's context are cut.
func Listen(ctx context.Context, logger *slog.Logger, drain time.Duration, servers ...*http.Server) (*Servers, error) {
	s := &Servers{logger: logger, drain: drain, servers: servers, draining: make(chan struct{})}
	var lc net.ListenConfig
	for _, srv := range servers {
		l, err := lc.Listen(ctx, "tcp", srv.Addr)
		if err != nil {
			for _, l := range s.listeners {
				_ = l.Close()
			}
			return nil, &ListenError{Addr: srv.Addr, Err: err}
		}
		s.listeners = append(s.listeners, bounded(srv, l, maxConnections))
		srv.BaseContext = func(net.Listener) context.Context {
			return context.WithValue(context.Background(), drainingKey{}, s.draining)
		}
		if srv.ErrorLog == nil {
			srv.ErrorLog = slog.NewLogLogger(logger.Handler(), slog.LevelWarn)
		}
	}
	return s, nil
}

// Addrs returns the addresses listened on, in the order of the servers; a port 0 is resolved.
func (s *Servers) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(s.listeners))
	for i, l := range s.listeners {
		addrs[i] = l.Addr()
	}
	return addrs
}

// Serve serves requests until ctx ends or a server fails. It then stops all in
// order: no new connections, [Draining] is closed, running requests finish or
// are cut after the drain time. It returns the failure, nil when ctx ended it.
// Call it once.
func (s *Servers) Serve(ctx context.Context) error {
	failed := make(chan error, len(s.servers))
	for i, srv := range s.servers {
		s.logger.LogAttrs(ctx, slog.LevelInfo, "listening", slog.String("addr", s.listeners[i].Addr().String()))
		go func() { failed <- srv.Serve(s.listeners[i]) }()
	}
	var errs []error
	running := len(s.servers)
	select {
	case <-ctx.Done():
	case err := <-failed:
		errs = append(errs, err)
		running--
	}
	s.shutdown(ctx)
	for range running {
		if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (s *Servers) shutdown(ctx context.Context) {
	close(s.draining)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.drain)
	defer cancel()
	var wg sync.WaitGroup
	for _, srv := range s.servers {
		wg.Go(func() {
			if err := srv.Shutdown(ctx); err != nil {
				s.logger.LogAttrs(ctx, slog.LevelWarn, "requests cut at shutdown", slog.String("drain", s.drain.String()))
				_ = srv.Close()
			}
		})
	}
	wg.Wait()
}

type drainingKey struct{}

// Draining returns a channel that is closed when the server of this request's
// context begins to shut down: streams and long polls then end, readiness then
// says no. For servers not started by [Servers] that is their Shutdown. It is nil,
// which never is ready, outside of a server.
func Draining(ctx context.Context) <-chan struct{} {
	if ch, ok := ctx.Value(drainingKey{}).(chan struct{}); ok {
		return ch
	}
	if srv, ok := ctx.Value(http.ServerContextKey).(*http.Server); ok {
		return foreign.draining(srv)
	}
	return nil
}

// foreignServers are servers of others whose end someone waits for. They can be collected.
type foreignServers struct {
	mu       sync.Mutex
	channels map[weak.Pointer[http.Server]]chan struct{}
}

var foreign = foreignServers{channels: map[weak.Pointer[http.Server]]chan struct{}{}}

// draining returns the channel of a server.
func (f *foreignServers) draining(srv *http.Server) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := weak.Make(srv)
	if ch, ok := f.channels[key]; ok {
		return ch
	}
	ch := make(chan struct{})
	f.channels[key] = ch
	srv.RegisterOnShutdown(sync.OnceFunc(func() { close(ch) }))
	runtime.AddCleanup(srv, f.forget, key)
	return ch
}

func (f *foreignServers) forget(key weak.Pointer[http.Server]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.channels, key)
}
