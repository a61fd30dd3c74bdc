package api

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/feedhttp"
	"github.com/clerksync/clerksync/internal/mcp"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// longestWrite is how long a request that changes something may take. Bulk work is a job.
const longestWrite = time.Minute

// route is a route of the API.
type route struct {
	method, path string
	parameters   []string // keys of queryParameters; each GET takes at_least, too
	body         any      // a pointer to what the body of a request has; nil: there is none
	writes       bool     // it changes something: read-only operators are refused
	operators    bool     // admins are refused
	status       int      // of an answer without an error

	// One of these serves a request.
	serve  func(ctx context.Context, c *call) (any, error)
	stream func(w http.ResponseWriter, r *http.Request, who client) error
}

// call is a request to a route, whose caller was admitted.
type call struct {
	query
	w   http.ResponseWriter
	r   *http.Request
	who client
	by  mirror.By // for the audit
}

// get returns a route that reads.
func get(path string, parameters []string, read func(context.Context, query) (any, error)) route {
	return route{
		method: http.MethodGet, path: path, parameters: parameters, status: http.StatusOK,
		serve: func(ctx context.Context, c *call) (any, error) { return read(ctx, c.query) },
	}
}

// post returns a route that changes something, with a JSON body.
func post[B any](path string, write func(context.Context, *call, B) (any, error)) route {
	return route{
		method: http.MethodPost, path: path, writes: true, status: http.StatusOK, body: new(B),
		serve: func(ctx context.Context, c *call) (any, error) {
			var body B
			if err := readJSON(c.w, c.r, &body); err != nil {
				return nil, err
			}
			return write(ctx, c, body)
		},
	}
}

// remove returns a route that removes something.
func remove(path string, parameters []string, write func(context.Context, *call) (any, error)) route {
	return route{
		method: http.MethodDelete, path: path, parameters: parameters, writes: true, status: http.StatusOK, serve: write,
	}
}

// reads marks a route that changes nothing, although it is asked with POST.
func (r route) reads() route {
	r.writes = false
	return r
}

// creates marks a route that makes something new.
func (r route) creates() route {
	r.status = http.StatusCreated
	return r
}

// forOperators marks a route that admins may not use.
func (r route) forOperators() route {
	r.operators = true
	return r
}

// paged returns the parameters of a list with these filters.
func paged(filters ...string) []string { return append(filters, "after", "limit") }

// table returns all routes.
func (h *handler) table() []route {
	return slices.Concat(
		[]route{{
			method: http.MethodGet, path: "/api/changes", parameters: slices.Sorted(maps.Keys(parameters)),
			status: http.StatusOK, stream: h.changes,
		}},
		h.objectRoutes(), h.deliveryRoutes(), h.mirrorRoutes(), h.jobRoutes(), h.operatorRoutes(), h.consumerRoutes(), h.endpointRoutes(),
	)
}

// objectRoutes are the routes about what Clerk has.
func (h *handler) objectRoutes() []route {
	return []route{
		get("/api/users", paged("q", "role", "organization", "active"), h.users),
		get("/api/users/{id}", nil, h.user),
		get("/api/users/{id}/memberships", paged(), h.userMemberships),
		get("/api/users/{id}/timeline", paged("type:timeline"), h.userTimeline),
		post("/api/users/{id}/role", h.setRole),
		post("/api/users/{id}/ban", h.changeUser(clerksync.Users.Ban)),
		post("/api/users/{id}/unban", h.changeUser(clerksync.Users.Unban)),
		post("/api/users/{id}/lock", h.changeUser(clerksync.Users.Lock)),
		post("/api/users/{id}/unlock", h.changeUser(clerksync.Users.Unlock)),
		post("/api/users/{id}/revoke-sessions", h.revokeSessions),
		remove("/api/users/{id}", []string{"confirm"}, h.eraseUser),
		get("/api/organizations", paged("q"), h.organizations),
		get("/api/organizations/{id}", nil, h.organization),
		get("/api/organizations/{id}/members", paged("role"), h.organizationMembers),
		get("/api/organizations/{id}/invitations", paged("status:invitation"), h.organizationInvitations),
		get("/api/invitations", paged("organization", "email", "status:invitation"), h.invitations),
		get("/api/invitations/{id}", nil, h.invitation),
		get("/api/sessions", paged("user", "status"), h.sessions),
		get("/api/sessions/{id}", nil, h.session),
		post("/api/sessions/{id}/revoke", h.revokeSession),
		get("/api/keys", []string{"subject:keys"}, h.keys),
		get("/api/keys/revocations", paged("id:revoked"), h.revocations),
		post("/api/keys/{id}/revoke", h.revokeKey),
		post("/api/keys/revoke-all", h.revokeKeys),
		get("/api/overrides", paged("kind", "id"), h.overrides),
		post("/api/overrides", h.setOverride),
		remove("/api/overrides/{kind}/{id}/{field}", nil, h.removeOverride),
	}
}

// deliveryRoutes are the routes about what Clerk sent.
func (h *handler) deliveryRoutes() []route {
	return []route{
		get("/api/deliveries", paged("state", "type", "reason", "since", "until", "subject", "organization", "text"), h.deliveries),
		get("/api/deliveries/groups", nil, h.deliveryGroups),
		get("/api/deliveries/{id}", []string{"include"}, h.delivery),
		get("/api/deliveries/{id}/changes", nil, h.deliveryChanges),
		get("/api/deliveries/{id}/preview", nil, h.previewReplay),
		post("/api/deliveries/{id}/replay", h.replay),
		post("/api/deliveries/{id}/dismiss", h.dismiss),
	}
}

// mirrorRoutes are the routes about the mirror itself.
func (h *handler) mirrorRoutes() []route {
	return []route{
		get("/api/changes/latest", paged("kind", "type", "user", "organization"), h.latestChanges),
		get("/api/audit", paged("user", "action", "actor", "since", "until"), h.audit),
		get("/api/drift", paged("kind", "since"), h.drift),
		get("/api/sync", nil, h.sync),
		get("/api/sync/walks", paged("kind"), h.walks),
		get("/api/overview", nil, h.overview),
		get("/api/instance", nil, h.instance),
		get("/api/activity", []string{"since"}, h.activity),
		get("/api/explain", []string{"user_id", "session_id", "organization_id", "rule", "method", "path"}, h.explainQuery),
		post("/api/explain", h.explainBody).reads(),
		{method: http.MethodPost, path: "/mcp", status: http.StatusOK, body: new(mcp.Message), stream: h.serveMCP},
		{method: http.MethodGet, path: "/llms.txt", status: http.StatusOK, stream: h.llms},
	}
}

func (h *handler) jobRoutes() []route {
	return []route{
		get("/api/jobs", paged("state:job", "action:job"), h.jobs),
		post("/api/jobs", h.planJob).creates(),
		get("/api/jobs/{id}", nil, h.job),
		get("/api/jobs/{id}/failures", paged(), h.jobFailures),
		post("/api/jobs/{id}/start", h.startJob),
		post("/api/jobs/{id}/cancel", h.cancelJob),
	}
}

// operatorRoutes are those of named operators. Only operators add and revoke them: an admin who
// lost the role must not have left a token behind.
func (h *handler) operatorRoutes() []route {
	return []route{
		get("/api/operators", nil, h.operators),
		post("/api/operators", h.addOperator).creates().forOperators(),
		remove("/api/operators/{name}", nil, h.revokeOperator).forOperators(),
	}
}

// consumerRoutes are those of the consumers of the change feed.
func (h *handler) consumerRoutes() []route {
	return []route{
		get("/api/consumers", nil, h.consumers),
		get("/api/consumers/{name}", nil, h.consumer),
		get("/api/consumers/{name}/parked", paged("state:parked"), h.parked),
		post("/api/consumers/{name}/pause", h.pauseConsumer),
		post("/api/consumers/{name}/resume", h.resumeConsumer),
		post("/api/consumers/{name}/rewind", h.rewindConsumer),
		post("/api/consumers/{name}/retry", h.retryParked),
		post("/api/consumers/{name}/drop", h.dropParked),
		remove("/api/consumers/{name}", nil, h.deleteConsumer),
	}
}

// endpointRoutes are those of the endpoints of outgoing webhooks. What returns a secret, or sends
// data to a new place, is for operators only.
func (h *handler) endpointRoutes() []route {
	return []route{
		get("/api/webhook-endpoints", nil, h.endpoints),
		post("/api/webhook-endpoints", h.addEndpoint).creates().forOperators(),
		get("/api/webhook-endpoints/{id}", nil, h.endpoint),
		remove("/api/webhook-endpoints/{id}", nil, h.removeEndpoint),
		post("/api/webhook-endpoints/{id}/enable", h.enableEndpoint),
		post("/api/webhook-endpoints/{id}/disable", h.disableEndpoint),
		post("/api/webhook-endpoints/{id}/ping", h.pingEndpoint),
		post("/api/webhook-endpoints/{id}/resume", h.resumeEndpoint),
		post("/api/webhook-endpoints/{id}/resend", h.resendMessages),
		post("/api/webhook-endpoints/{id}/rotate", h.rotateSecret).forOperators(),
		get("/api/webhook-attempts", paged("endpoint", "message", "failed"), h.attempts),
	}
}

// serve returns the handler of a route. A request is admitted before anything else about it is
// looked at, and only callers who were can wait for at_least.
func (h *handler) serve(to route) http.Handler {
	if to.stream != nil {
		return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Add("Vary", "Accept")
			who, err := h.admit(r, &to)
			if err != nil {
				return err
			}
			return to.stream(w, r, who)
		})
	}
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		who, err := h.admit(r, &to)
		if err != nil {
			return err
		}
		q, err := parseParameters(r, &to)
		if err != nil {
			return err
		}
		answer := web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			ctx := r.Context()
			if to.writes { // what was begun is ended, though the client leaves
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), longestWrite)
				defer cancel()
			}
			answer, err := to.serve(ctx, &call{query: q, w: w, r: r, who: who, by: h.by(r, &to, &who)})
			if err != nil {
				return answerTo(ctx, err)
			}
			return web.WriteJSON(w, to.status, answer)
		})
		if to.method == http.MethodGet {
			feedhttp.AtLeast(h.mirror.Feed().Reached, answer).ServeHTTP(w, r)
			return nil
		}
		answer.ServeHTTP(w, r)
		return nil
	})
}
