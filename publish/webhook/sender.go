package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/webhook"
)

// Bounds of one attempt.
const (
	connectTimeout = 5 * time.Second
	attemptTimeout = 15 * time.Second
	maxAnswerBytes = 4 << 10
	maxHeaderBytes = 32 << 10
	// drainTimeout is how long the rest of an answer may take. The status has come by then.
	drainTimeout = time.Second
)

// Reasons of attempts that failed, as [mirror.WebhookAttempt] has them. None contains what the
// receiver sent.
const (
	reasonStatus     = "status"              // the receiver answered with another status than 2xx
	reasonRedirect   = "redirect"            // it answered with a redirect, which is not followed
	reasonTimeout    = "timeout"             // it did not accept the connection in 5 s, or did not answer in 15 s
	reasonAddress    = "address_not_allowed" // its host has an address that is refused
	reasonURL        = "url_not_allowed"     // plain http, and the host is not allowed by name any more
	reasonDNS        = "dns"                 // its name has no address
	reasonRefused    = "connection_refused"
	reasonTLS        = "tls" // no TLS, or its certificate is not valid
	reasonConnection = "connection"
	reasonSecret     = "secret" // the stored secret cannot sign
)

// sender sends messages.
type sender struct {
	allowed hosts
	client  *http.Client
}

// newSender returns a sender.
func newSender(allowed hosts, l limits) *sender {
	s := &sender{allowed: allowed}
	s.client = &http.Client{
		Timeout: l.attempt,
		Transport: &http.Transport{
			Proxy:       nil, // one from the environment would connect in our place, past the check of the address
			DialContext: s.dialer(l), TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: l.roots},
			TLSHandshakeTimeout: l.connect, MaxResponseHeaderBytes: maxHeaderBytes,
			ForceAttemptHTTP2: true, DisableCompression: true,
			MaxIdleConns: 2 * maxConcurrency, MaxIdleConnsPerHost: endpointConcurrency, IdleConnTimeout: time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s
}

// dialer returns a function that connects to a host. It checks each address at the moment of the
// connection, after the name was resolved, so that no later answer of the name server counts.
func (s *sender) dialer(l limits) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		local := s.allowed.allows(host)
		d := net.Dialer{
			Timeout: l.connect, Resolver: l.resolver,
			Control: func(_, address string, _ syscall.RawConn) error {
				target, err := netip.ParseAddrPort(address)
				if err != nil {
					return err
				}
				return checkAddress(target.Addr(), local)
			},
		}
		return d.DialContext(ctx, network, address)
	}
}

// answer is how an attempt ended.
type answer struct {
	status     int
	reason     string // "" for success
	retryAfter time.Duration
}

// send signs a message for an endpoint and sends it once. The context bounds it in addition to the
// timeouts.
func (s *sender) send(ctx context.Context, target string, secrets []string, messageID string, body []byte) answer {
	if s.checkURL(target) != nil {
		return answer{reason: reasonURL}
	}
	signer, err := webhook.NewSigner(secrets...)
	if err != nil {
		return answer{reason: reasonSecret}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return answer{reason: reasonURL}
	}
	now := time.Now()
	request.Header = signer.SignStandard(messageID, now, body)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "clerksync-webhooks/1")
	// A key without a value is not sent. It lets the transport use another connection at once if
	// the receiver has closed an idle one: a message may come twice.
	request.Header["Idempotency-Key"] = []string{}
	response, err := s.client.Do(request)
	if err != nil {
		return answer{reason: reasonOf(err)}
	}
	timer := time.AfterFunc(drainTimeout, cancel)
	defer timer.Stop()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswerBytes)) // so that the connection can be used again
	_ = response.Body.Close()
	a := answer{status: response.StatusCode, retryAfter: retryAfter(response.Header.Get("Retry-After"), now)}
	switch status := response.StatusCode; {
	case status >= 200 && status < 300:
	case status >= 300 && status < 400:
		a.reason = reasonRedirect
	default:
		a.reason = reasonStatus
	}
	return a
}

// reasonOf classifies an error of the HTTP client.
func reasonOf(err error) string {
	if _, refused := errors.AsType[*addressError](err); refused {
		return reasonAddress
	}
	if _, dns := errors.AsType[*net.DNSError](err); dns {
		return reasonDNS
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return reasonTimeout
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return reasonRefused
	}
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	if record || alert || certificate || errors.Is(err, http.ErrSchemeMismatch) {
		return reasonTLS
	}
	return reasonConnection
}

// retryAfter reads the header of that name: seconds, or a date. It returns 0 for none.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

// Bounds of what an endpoint has.
const (
	maxURLBytes         = 2048
	maxDescriptionBytes = 500
)

// URLError means that a URL cannot be that of an endpoint.
type URLError struct {
	// Problem says what is wrong, and what to do.
	Problem string
}

// Error returns the problem.
func (e *URLError) Error() string { return "webhook URL: " + e.Problem }

// checkURL returns a [*URLError] if a URL cannot be that of an endpoint.
func (s *sender) checkURL(text string) error {
	refuse := func(problem string) error { return &URLError{problem} }
	u, err := url.Parse(text)
	switch {
	case len(text) > maxURLBytes:
		return refuse("it is longer than 2048 bytes")
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return refuse("it is not an absolute URL such as https://app.example.com/hooks")
	case !printable(text):
		return refuse("it contains characters other than printable ASCII: encode them")
	case u.User != nil:
		return refuse("it contains a user or a password: messages are signed, so verify the signature instead")
	case u.Fragment != "" || u.RawFragment != "" || text[len(text)-1] == '#':
		return refuse("it contains a fragment (#), which is never sent")
	case u.Scheme != "https" && u.Scheme != "http":
		return refuse("its scheme is not https")
	}
	allowed := s.allowed.allows(u.Hostname())
	if u.Scheme == "http" && !allowed {
		return refuse("it is not https. Plain http works only to hosts that are allowed by name")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return refuse("its port is not a number from 1 to 65535")
		}
	}
	if address, err := netip.ParseAddr(u.Hostname()); err == nil {
		if err := checkAddress(address, allowed); err != nil {
			if checkAddress(address, true) != nil {
				return refuse(err.Error() + ", to which nothing is ever sent")
			}
			return refuse(err.Error() + ", to which nothing is sent unless the host is allowed by name")
		}
	}
	return nil
}

// printable reports whether a text is printable ASCII without spaces.
func printable(text string) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// attemptOf returns the record of an attempt.
func attemptOf(endpointID, messageID string, began time.Time, took time.Duration, a answer) *mirror.WebhookAttempt {
	return &mirror.WebhookAttempt{
		EndpointID: endpointID, MessageID: messageID, At: began, Status: a.status, DurationMS: took.Milliseconds(), Reason: a.reason,
	}
}
