package main

import (
	"database/sql"
	"encoding/csv"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
)

// service serves the deals of organizations.
type service struct {
	mirror *clerksync.Mirror
	db     *sql.DB // the same database
	logger *slog.Logger
	people []string // whom the demo signs in; none otherwise
}

// routes returns all routes. Everything that decides who may do what is here.
func (s *service) routes() http.Handler {
	member := s.mirror.Require(inOrganization())
	dealmaker := s.mirror.Require(inOrganization(), auth.MinRole("growth"))
	confirmed := s.mirror.Require(inOrganization(), auth.MinRole("growth"), auth.NotImpersonated(), auth.Reverified(auth.Strict()))
	exporter := s.mirror.Require(inOrganization(), auth.Feature("org:"+csvFeature))
	admin := s.mirror.Require(auth.Role("admin"), auth.NotImpersonated())

	mux := http.NewServeMux()
	mux.Handle("POST /api/webhooks/clerk", s.mirror.WebhookHandler()) // Clerk signs its requests, and has no session
	mux.Handle("GET /api/auth/me", s.mirror.MeHandler())
	mux.Handle("GET /health", s.mirror.HealthHandler())
	mux.Handle("GET /readyz", s.mirror.ReadyHandler())

	mux.Handle("GET /{$}", s.pageHandler()) // it shows by itself why a request is denied
	mux.Handle("GET /api/stages", member(s.json(http.StatusOK, s.listStages)))
	mux.Handle("GET /api/deals", member(s.json(http.StatusOK, s.listDeals)))
	mux.Handle("GET /api/deals/{id}", member(s.json(http.StatusOK, s.readDeal)))
	mux.Handle("POST /api/deals", dealmaker(s.json(http.StatusCreated, s.createDeal)))
	mux.Handle("PATCH /api/deals/{id}", dealmaker(s.json(http.StatusOK, s.updateDeal)))
	mux.Handle("DELETE /api/deals/{id}", confirmed(s.json(http.StatusOK, s.deleteDeal)))
	mux.Handle("GET /api/deals.csv", exporter(s.handler(s.exportDeals)))
	mux.Handle("GET /api/admin/deals", admin(s.json(http.StatusOK, s.listAllDeals)))
	mux.Handle("GET /api/admin/stats", admin(s.json(http.StatusOK, s.listAllTotals)))
	return mux
}

// inOrganization requires an active organization: the one that the user chose in Clerk's switcher.
// The mirror has checked that the user is still a member.
func inOrganization() auth.Rule {
	return auth.Func("inOrganization", func(subject *auth.Subject) auth.Decision {
		if subject.Claims.Organization == nil {
			return auth.Deny("no_active_organization")
		}
		return auth.Allow()
	})
}

func (s *service) listStages(c call) (any, error) { return c.deals.Stages(c.Context()) }
func (s *service) listDeals(c call) (any, error)  { return c.deals.List(c.Context(), c.after, c.limit) }
func (s *service) readDeal(c call) (any, error)   { return c.deals.Read(c.Context(), c.id) }
func (s *service) deleteDeal(c call) (any, error) { return c.deals.Delete(c.Context(), c.id) }

func (s *service) createDeal(c call) (any, error) {
	fields, err := c.fields()
	if err != nil {
		return nil, err
	}
	if fields.Title == nil {
		return nil, invalid("title", "is required")
	}
	user, _ := clerksync.UserFromContext(c.Context())
	return c.deals.Create(c.Context(), user.ID, fields)
}

func (s *service) updateDeal(c call) (any, error) {
	fields, err := c.fields()
	if err != nil {
		return nil, err
	}
	return c.deals.Update(c.Context(), c.id, fields)
}

func (s *service) listAllDeals(c call) (any, error) {
	return listDeals(c.Context(), s.db, everyone, "", c.after, c.limit)
}

func (s *service) listAllTotals(c call) (any, error) {
	return listTotals(c.Context(), s.db, everyone, "")
}

// exportDeals streams all deals of the organization as CSV, a page at a time.
func (s *service) exportDeals(w http.ResponseWriter, r *http.Request) error {
	claims, _ := clerksync.ClaimsFromContext(r.Context())
	deals := Pipeline{s.db, claims.Organization.ID}
	page, err := deals.List(r.Context(), "", maxPage)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Disposition", `attachment; filename="deals.csv"`)
	send(w, http.StatusOK, "text/csv; charset=utf-8", []byte("id,title,stage,value_usd,owner,updated_at\n"))
	for out := csv.NewWriter(w); ; {
		for _, d := range page.Deals {
			_ = out.Write([]string{d.ID, harmless(d.Title), harmless(d.Stage), strconv.FormatInt(d.ValueUSD, 10), harmless(d.Owner), d.UpdatedAt})
		}
		if out.Flush(); page.Next == "" {
			return nil
		}
		if page, err = deals.List(r.Context(), page.Next, maxPage); err != nil { // also if the client has left
			s.logger.ErrorContext(r.Context(), "An export ended early.", "error", err)
			panic(http.ErrAbortHandler) // cuts the connection: half a file must not look complete
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout)) // for the next page
	}
}

// formula matches what a spreadsheet runs: at the beginning of a cell, and after characters at
// which some begin another cell.
var formula = regexp.MustCompile(`(^|[;,"])([=+@\t\r\n＝＋－＠-])`)

// harmless quotes in a text what a spreadsheet would run as a formula.
func harmless(text string) string { return formula.ReplaceAllString(text, "$1'$2") }
