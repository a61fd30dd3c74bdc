package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/clerksync/clerksync"
)

const (
	maxBody     = 16 << 10     // bytes of a request
	maxTitle    = 200          // characters
	maxValueUSD = int64(1e12)  // a trillion
	maxPage     = 100          // rows
	csvFeature  = "csv_export" // of the plan enterprise
)

// call is a request to the API, with what its token, path and query say.
type call struct {
	*http.Request
	deals     Pipeline // of the caller's active organization
	id, after string   // of deals
	limit     int      // of a list
}

// read reads everything but the body.
func (s *service) read(r *http.Request) (c call, err error) {
	query := r.URL.Query()
	c = call{r, Pipeline{db: s.db}, r.PathValue("id"), query.Get("after"), maxPage}
	if claims, _ := clerksync.ClaimsFromContext(r.Context()); claims.Organization != nil {
		c.deals.organizationID = claims.Organization.ID
	}
	if limit := query.Get("limit"); limit != "" {
		c.limit, err = strconv.Atoi(limit)
	}
	switch {
	case c.id != "" && !isID(c.id):
		return c, errNotFound
	case c.after != "" && !isID(c.after):
		return c, invalid("after", "must be the next_cursor of a page")
	case err != nil || c.limit < 1 || c.limit > maxPage:
		return c, invalid("limit", fmt.Sprintf("must be a number from 1 to %d", maxPage))
	}
	return c, nil
}

// isID reports whether a text can be the id of a deal. Postgres refuses others.
func isID(text string) bool { return len(text) == len(uuid.Nil.String()) && uuid.Validate(text) == nil }

// fields returns the body, which must be one JSON object with no other members than the fields.
func (c call) fields() (fields DealFields, err error) {
	decoder := json.NewDecoder(c.Body)
	decoder.DisallowUnknownFields()
	if err = decoder.Decode(&fields); err == nil && decoder.More() {
		err = errors.New("it has more than one value")
	}
	if err != nil {
		return fields, &problem{Status: http.StatusBadRequest, Code: "invalid_json", Detail: "The body is not valid: " + err.Error()}
	}
	if title := fields.Title; title != nil {
		*title = strings.TrimSpace(*title)
		if n := utf8.RuneCountInString(*title); n < 1 || n > maxTitle || strings.ContainsFunc(*title, unicode.IsControl) {
			return fields, invalid("title", fmt.Sprintf("must have 1 to %d characters, and no control characters", maxTitle))
		}
	}
	if value := fields.ValueUSD; value != nil && (*value < 0 || *value > maxValueUSD) {
		return fields, invalid("value_usd", fmt.Sprintf("must be from 0 to %d", maxValueUSD))
	}
	return fields, nil
}

// problem is an error with its response (RFC 9457), in the form that the mirror's handlers use.
type problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"` // the phrase of the status
	Code   string `json:"code"`  // for programs
	Field  string `json:"field,omitempty"`
	Detail string `json:"detail"`
}

var (
	errNotFound = &problem{Status: http.StatusNotFound, Code: "not_found", Detail: "Your organization has no such deal."}
	errChanged  = &problem{Status: http.StatusConflict, Code: "changed", Detail: "The deal has changed. Read it again."}
	errNotReady = &problem{Status: http.StatusServiceUnavailable, Code: "not_ready", Detail: "Your organization is new here. Try again in a moment."}
)

// invalid returns the problem of a request with a field that is not valid.
func invalid(field, detail string) *problem {
	return &problem{Status: http.StatusUnprocessableEntity, Code: "invalid_field", Field: field, Detail: field + " " + detail}
}

// Error returns code and detail.
func (p *problem) Error() string { return p.Code + ": " + p.Detail }

// handler serves a function that returns its error: a problem for the client, or one for the log.
func (s *service) handler(serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		err := serve(w, r)
		if err == nil {
			return
		}
		p := problem{Status: http.StatusInternalServerError, Code: "internal_error", Detail: "Something went wrong here."}
		if known, ok := errors.AsType[*problem](err); ok {
			p = *known
		} else if r.Context().Err() == nil { // the client has not left
			s.logger.ErrorContext(r.Context(), "A request failed.", "route", r.Pattern, "error", err)
		}
		p.Title = http.StatusText(p.Status)
		body, _ := json.Marshal(p)
		send(w, p.Status, "application/problem+json", body)
	})
}

// json serves a function that returns what to send.
func (s *service) json(status int, result func(call) (any, error)) http.Handler {
	return s.handler(func(w http.ResponseWriter, r *http.Request) error {
		c, err := s.read(r)
		if err != nil {
			return err
		}
		value, err := result(c)
		if err != nil {
			return err
		}
		body, err := json.Marshal(value)
		if err == nil {
			send(w, status, "application/json", append(body, '\n'))
		}
		return err
	})
}

// send sends a response, which is for one person, and of a type that browsers must not guess.
func send(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has left is no error
}
