package clerkapi

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/clerksync/clerksync/clerk"
)

// TokenKind is a kind of token that only Clerk can read.
type TokenKind uint8

// The kinds.
const (
	APIKey TokenKind = iota
	OAuthToken
	M2MToken
)

// tokenEndpoints say how Clerk is asked about the tokens of each kind.
//
// Source: Clerk's OpenAPI document of the Backend API, version 2026-05-12.
var tokenEndpoints = [...]struct {
	name   string
	path   string // of the list
	member string // of the body that verifies a token
	object string // member object of the answer
	prefix string // of ids
	list   string // member of the answer to the list
}{
	APIKey:     {"API key", "/api_keys", "secret", "api_key", "ak_", "data"},
	OAuthToken: {"OAuth token", "/oauth_applications/access_tokens", "access_token", "clerk_idp_oauth_access_token", "oat_", ""},
	M2MToken:   {"M2M token", "/m2m_tokens", "token", "machine_to_machine_token", "mt_", "m2m_tokens"},
}

// MachineToken is what Clerk says about an API key or another opaque token. The token itself is not
// part of it.
type MachineToken struct {
	Kind      TokenKind
	ID        string   // ak_…, oat_…, mt_…
	Subject   string   // user_…, org_… or mch_…
	Name      string   // of an API key
	ClientID  string   // of an OAuth token
	CreatedBy string   // the user who made an API key
	Scopes    []string // of an M2M token: the machines that may receive it
	Claims    clerk.Value

	Revoked, Expired                 bool
	CreatedAt, ExpiresAt, LastUsedAt clerk.Time // 0 for none
}

// verifyTimeout bounds one attempt to verify a token: a request waits for it.
const verifyTimeout = 2500 * time.Millisecond

// VerifyToken asks Clerk about a token. Clerk is paid for each call, so it is sent again only if it
// certainly did not reach Clerk. known says that Clerk has accepted the token before.
//
// Verifications of OAuth tokens use the budget: those of known tokens like reads, those of others
// as [Capped] calls, since anyone can send them. Verifications of API keys and M2M tokens do not
// use it, because Clerk does not count them towards the limit of the instance.
//
// Source: Clerk's developers in https://github.com/clerk/javascript/pull/8519.
//
// [ErrNotFound] means that Clerk does not know the token, and [ErrRefused] that Clerk refused it
// for another reason. No error quotes the token. Attempts of an error is 0 if nothing was sent.
func (c *Client) VerifyToken(ctx context.Context, kind TokenKind, token string, known bool) (MachineToken, error) {
	endpoint := &tokenEndpoints[kind]
	r := request{
		op: "verify " + endpoint.name, method: http.MethodPost, path: endpoint.path + "/verify", priority: Capped,
		body: clerk.Object().With(endpoint.member, clerk.Text(token)).JSON(), timeout: verifyTimeout, byMachine: kind == M2MToken,
		unlimited: kind != OAuthToken,
	}
	if known {
		r.priority = NoWait
	}
	ctx, span := c.config.Tracer.Start(ctx, "clerk verify", trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	value, err := c.sendVerification(ctx, r)
	if failed, ok := errors.AsType[*Error](err); ok && failed.Attempts == 1 && failed.Status == 0 && !failed.mayHaveReached() {
		value, err = c.sendVerification(ctx, r)
	}
	found := MachineToken{Kind: kind}
	if err == nil {
		err = found.decode(value)
	}
	if failed, ok := errors.AsType[*Error](err); ok {
		failed.Op = r.op
		span.SetStatus(codes.Error, failed.Reason.Error())
		return MachineToken{}, failed.without(token)
	}
	return found, err
}

// sendVerification sends one request, if the breaker of verifications and the budget allow it.
// Attempts of its error is 0 if none was sent.
func (c *Client) sendVerification(ctx context.Context, r request) (clerk.Value, error) {
	wait, probe := c.verifications.enter()
	if wait > 0 {
		return clerk.Value{}, heldBack(wait)
	}
	result := inconclusive
	defer func() { c.verifications.leave(result, probe) }()
	if !r.unlimited {
		var none time.Duration
		if err := c.budget.wait(ctx, r.priority, &none); err != nil {
			return clerk.Value{}, budgetError(err)
		}
	}
	c.requests.Add(1)
	value, err := c.send(ctx, r, &Answer{})
	result = success
	if failed, ok := errors.AsType[*Error](err); ok {
		failed.Attempts = 1
		result = c.classifyVerification(ctx, r, failed)
	}
	return value, err
}

// classifyVerification returns what an error says about Clerk's health. Only a 429 to an OAuth
// token is one of the limit that reads have as well.
func (c *Client) classifyVerification(ctx context.Context, r request, failed *Error) outcome {
	switch {
	case failed.Status == http.StatusTooManyRequests && r.unlimited:
		c.budget.countTooMany()
	case failed.Status == http.StatusTooManyRequests:
		c.slowDown(ctx, failed.RetryAfter)
	case failed.Status == http.StatusNotFound && errors.Is(failed, ErrRefused): // its code is not documented
		failed.Reason, failed.Remedy = ErrNotFound, ""
	case errors.Is(failed, ErrUnavailable):
		c.failures.Add(1)
		return failure
	}
	return success
}

// without returns the error without anything that an answer may have quoted, if that holds a
// secret.
func (e *Error) without(secret string) *Error {
	if !strings.Contains(e.Error(), secret) && !strings.Contains(e.Message, secret) {
		return e
	}
	return &Error{Reason: e.Reason, Op: e.Op, Status: e.Status, Attempts: e.Attempts, Remedy: e.Remedy, RetryAfter: e.RetryAfter}
}

// decode reads an object that Clerk returned. What does not say clearly that the token is valid, or
// that it is not, is an error.
func (t *MachineToken) decode(v clerk.Value) error {
	endpoint := &tokenEndpoints[t.Kind]
	if active := v.Get("active"); t.Kind == OAuthToken && active.Exists() && !active.Bool() && !v.Get("id").Exists() {
		t.Expired = true
		return nil
	}
	t.ID, t.Subject = v.Get("id").String(), v.Get("subject").String()
	revoked, expired, expiration := v.Get("revoked"), v.Get("expired"), v.Get("expiration")
	switch {
	case v.Get("object").String() != endpoint.object || !strings.HasPrefix(t.ID, endpoint.prefix) || !goodID(t.ID):
		return unexpected("the answer is not the " + endpoint.name)
	case !goodID(t.Subject):
		return unexpected("the answer has no subject")
	case !isBool(revoked) || !isBool(expired):
		return unexpected("the answer does not say whether the " + endpoint.name + " is revoked or expired")
	case !expiration.IsNull() && expiration.Time() == 0:
		return unexpected("the answer does not say when the " + endpoint.name + " expires")
	}
	t.Revoked, t.Expired = revoked.Bool(), expired.Bool()
	t.ExpiresAt, t.CreatedAt, t.LastUsedAt = expiration.Time(), v.Get("created_at").Time(), v.Get("last_used_at").Time()
	t.Name, t.ClientID, t.CreatedBy, t.Claims = v.Get("name").String(), v.Get("client_id").String(), v.Get("created_by").String(), v.Get("claims")
	for _, scope := range v.Get("scopes").All() {
		if text := scope.String(); text != "" {
			t.Scopes = append(t.Scopes, text)
		}
	}
	return nil
}

func isBool(v clerk.Value) bool { return v.Bool() || v.JSON() == "false" }

// ReadAPIKey reads an API key by its id (ak_…), which is not the key itself. Clerk is not paid for
// it.
func (c *Client) ReadAPIKey(ctx context.Context, id string) (MachineToken, error) {
	const op = "read API key "
	if !goodID(id) {
		return MachineToken{}, invalid(op, "the id is malformed")
	}
	value, _, err := c.call(ctx, request{op: op + id, path: "/api_keys/" + id, priority: NoWait, timeout: verifyTimeout})
	found := MachineToken{Kind: APIKey}
	if err == nil {
		err = found.decode(value)
	}
	if err == nil && found.ID != id {
		err = unexpected("the answer is another API key")
	}
	if failed, ok := errors.AsType[*Error](err); ok {
		failed.Op = op + id
	}
	return found, err
}

// tokensPage is the greatest page of a list of tokens.
const tokensPage = 100

// TokensOf returns a page of what Clerk lists for a subject: the M2M tokens of a machine, or the
// API keys of a user or an organization, revoked and expired ones too. total is how many the list
// has. Clerk does not list OAuth tokens, nor M2M tokens that are JWTs.
func (c *Client) TokensOf(ctx context.Context, subject string, offset int, p Priority) (page []MachineToken, total int, err error) {
	op := "list the keys of " + subject
	kind, query := APIKey, url.Values{"subject": {subject}, "limit": {strconv.Itoa(tokensPage)}, "offset": {strconv.Itoa(offset)}}
	if strings.HasPrefix(subject, "mch_") {
		kind = M2MToken
	} else {
		query.Set("include_invalid", "true")
	}
	if !goodID(subject) {
		return nil, 0, invalid("list the keys of a subject", "the id is missing or malformed")
	}
	r := request{op: op, path: tokenEndpoints[kind].path + "?" + query.Encode(), priority: p}
	if p == NoWait {
		r.timeout = verifyTimeout
	}
	value, _, err := c.call(ctx, r)
	if err != nil {
		return nil, 0, err
	}
	rows := value.Get(tokenEndpoints[kind].list)
	if !rows.IsArray() {
		err = unexpected("the answer is not a list")
	}
	for _, row := range rows.All() {
		t := MachineToken{Kind: kind}
		if err = cmp.Or(err, t.decode(row)); err == nil && t.Subject != subject {
			err = unexpected("the filter by subject was ignored")
		}
		page = append(page, t)
	}
	if failed, ok := errors.AsType[*Error](err); ok {
		failed.Op = op
		return nil, 0, failed
	}
	count, _ := value.Get("total_count").Int()
	return page, int(count), nil
}

// RevokeToken revokes an API key (ak_…) or an opaque M2M token (mt_…) by its id. That cannot be
// undone. To revoke one twice does no harm.
func (c *Client) RevokeToken(ctx context.Context, id string, p Priority) (MachineToken, error) {
	kind := APIKey
	if strings.HasPrefix(id, tokenEndpoints[M2MToken].prefix) {
		kind = M2MToken
	}
	op := "revoke " + tokenEndpoints[kind].name + " "
	if !goodID(id) || !strings.HasPrefix(id, tokenEndpoints[kind].prefix) {
		return MachineToken{}, invalid(op, "the id is not that of an API key or an M2M token")
	}
	body := clerk.Object().With("revocation_reason", clerk.Text("revoked by an operator of clerksync")).JSON()
	value, _, err := c.call(ctx, request{
		op: op + id, method: http.MethodPost, path: tokenEndpoints[kind].path + "/" + id + "/revoke", body: body, priority: p,
	})
	found := MachineToken{Kind: kind}
	if err == nil {
		err = found.decode(value)
	}
	if err == nil && (found.ID != id || !found.Revoked) {
		err = unexpected("the answer does not say that it is revoked")
	}
	if failed, ok := errors.AsType[*Error](err); ok {
		failed.Op = op + id
		if failed.Status == http.StatusNotFound && errors.Is(failed, ErrRefused) {
			failed.Reason, failed.Remedy = ErrNotFound, ""
		}
	}
	return found, err
}
