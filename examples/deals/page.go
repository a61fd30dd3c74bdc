package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"maps"
	"net/http"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/mirror"
)

//go:embed page.html
var pageText string

// pageView is what page.html shows.
type pageView struct {
	Nonce   string   // of the style; no other one is used
	People  []string // whom the demo signs in
	Refusal *clerksync.DeniedError
	User    mirror.User
	Total   Total
	Stages  []Total
	Page    DealPage // the newest deals
}

// pageHandler returns the handler of the page, for people. It needs no script.
func (s *service) pageHandler() http.Handler {
	page := template.Must(template.New("page").Funcs(template.FuncMap{"dollars": dollars}).Parse(pageText))
	return s.handler(func(w http.ResponseWriter, r *http.Request) error {
		view, status := pageView{Nonce: rand.Text(), People: s.people}, http.StatusOK
		caller, err := s.mirror.Authorize(r, inOrganization())
		if denied, ok := errors.AsType[*clerksync.DeniedError](err); ok {
			status, view.Refusal = denied.Status, denied
			maps.Copy(w.Header(), denied.Header())
		} else if err = view.fill(r.Context(), s.db, caller); err != nil {
			return err
		}
		var body bytes.Buffer
		if err := page.Execute(&body, view); err != nil {
			return err
		}
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+view.Nonce+
			"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		send(w, status, "text/html; charset=utf-8", body.Bytes())
		return nil
	})
}

// fill reads the pipeline of the caller's organization.
func (v *pageView) fill(ctx context.Context, db *sql.DB, caller *clerksync.Caller) error {
	pipeline := Pipeline{db, caller.Claims.Organization.ID}
	var errs [3]error
	v.User = caller.User
	v.Total, errs[0] = pipeline.Total(ctx)
	v.Stages, errs[1] = pipeline.Stages(ctx)
	v.Page, errs[2] = pipeline.List(ctx, "", 2*maxPage)
	return errors.Join(errs[:]...)
}

// dollars writes an amount in four digits, such as $56.43M.
func dollars(amount int64) string {
	size, unit := int64(1), ""
	for _, next := range []string{"k", "M", "B", "T"} {
		if amount >= 1000*size {
			size, unit = 1000*size, next
		}
	}
	return fmt.Sprintf("$%.4g%s", float64(amount)/float64(size), unit)
}
