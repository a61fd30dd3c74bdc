package api

import (
	"cmp"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/access"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// codeOperatorRequired means that an admin asks for what only operators may do.
const codeOperatorRequired = "operator_required"

// client is who makes a request.
type client struct {
	key      string           // one of a bounded number of streams and of requests a second
	expires  time.Time        // when the token expires; zero for the unnamed operator
	operator *mirror.Operator // nil: an admin
	admin    string           // the Clerk user id of an admin
	inside   bool             // the program itself asks: limits are for others
}

// named reports whether it is a named operator, who can be revoked at any time.
func (c *client) named() bool { return c.operator != nil && c.operator.Name != "" }

// admit returns who makes a request to a route, if this client may do so now.
func (h *handler) admit(r *http.Request, to *route) (client, error) {
	who, err := h.authorize(r, to.writes)
	switch {
	case err != nil:
		return client{}, h.rates.refused(h.address(r), err)
	case to.operators && who.operator == nil:
		return client{}, &web.Problem{
			Status: http.StatusForbidden, Code: codeOperatorRequired,
			Detail: "Only operators can do this: use the token of an operator who is not read-only",
		}
	case who.inside:
		return who, nil
	case to.writes:
		return who, h.rates.allow(writing, who.key)
	}
	return who, h.rates.allow(reading, who.key)
}

// authorize returns who makes a request: an operator, or an admin, whom the rule allows. Read-only
// operators are refused where a request writes.
func (h *handler) authorize(r *http.Request, writes bool) (client, error) {
	if operator, ok := access.OperatorOf(r.Context()); ok && r.Header["Authorization"] == nil {
		if writes && operator.ReadOnly {
			return client{}, access.ReadOnlyOperator().Problem()
		}
		return client{key: "operator " + operator.Name, operator: &operator, inside: true}, nil
	}
	operator, err := h.operator(r, writes)
	if err == nil {
		key := "operator " + operator.Name + " at " + h.address(r).String()
		return client{key: key, expires: operator.ExpiresAt, operator: &operator}, nil
	}
	if h.caller == nil || isOperators(r, err) {
		return client{}, problem(err)
	}
	caller, err := h.caller(r, writes)
	if err != nil {
		return client{}, problem(err)
	}
	id := caller.User.ClerkUserID
	return client{key: id, expires: caller.Claims.ExpiresAt, admin: id}, nil
}

// by returns who makes a request, for the audit.
func (h *handler) by(r *http.Request, to *route, who *client) mirror.By {
	by := mirror.By{Actor: who.admin, Origin: cmp.Or(h.origin, to.method+" "+to.path), RequestID: web.RequestID(r.Context())}
	if who.operator != nil {
		by.Actor = cmp.Or(who.operator.Name, "operator")
	}
	if ip := h.proxies.ClientIP(r); ip.IsValid() {
		by.Address = ip.String()
	}
	return by
}

// address returns where a request comes from. Of an IPv6 address it is the network, because one
// client has a whole network of them.
func (h *handler) address(r *http.Request) netip.Addr {
	ip := h.proxies.ClientIP(r)
	if ip.Is6() {
		network, _ := ip.Prefix(64)
		return network.Addr()
	}
	return ip
}

// isOperators reports whether a denial is that of a request with an operator's token, or with
// something that is no session token: no session can make it good. Session tokens have dots.
func isOperators(r *http.Request, err error) bool {
	if token, ok := auth.BearerToken(r); ok && !strings.Contains(token, ".") {
		return true
	}
	denied, ok := errors.AsType[*clerksync.DeniedError](err)
	return !ok || denied.Code != auth.CodeAuthenticationRequired && denied.Code != clerksync.CodeOperatorTokenUnset
}

// problem returns the HTTP form of an error of authorization.
func problem(err error) error {
	if denied, ok := errors.AsType[*clerksync.DeniedError](err); ok {
		return (*access.Denial)(denied).Problem()
	}
	return err
}
