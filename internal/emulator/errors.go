package emulator

import (
	"fmt"
	"net/http"
)

// APIError is Clerk's error body with its status.
type APIError struct {
	Status  int      `json:"-"`
	Errors  []Detail `json:"errors"`
	TraceID string   `json:"clerk_trace_id,omitempty"`

	retryAfter int // seconds
}

// Detail is one error of an [APIError].
type Detail struct {
	Message     string         `json:"message"`
	LongMessage string         `json:"long_message"`
	Code        string         `json:"code"`
	Meta        map[string]any `json:"meta,omitempty"`
}

// Error returns the status and the first error.
func (e *APIError) Error() string {
	if len(e.Errors) == 0 {
		return fmt.Sprintf("clerk: status %d", e.Status)
	}
	return fmt.Sprintf("clerk: %d %s: %s", e.Status, e.Errors[0].Code, e.Errors[0].LongMessage)
}

func fail(status int, code, message, long string) *APIError {
	return &APIError{Status: status, Errors: []Detail{{Message: message, LongMessage: long, Code: code, Meta: map[string]any{}}}}
}

func (e *APIError) about(parameter string) *APIError {
	e.Errors[0].Meta["param_name"] = parameter
	return e
}

func notFound(kind, id string) *APIError {
	return fail(http.StatusNotFound, "resource_not_found", "not found", fmt.Sprintf("No %s was found with id %s", kind, id))
}

func invalid(parameter, long string) *APIError {
	return fail(http.StatusUnprocessableEntity, "form_param_value_invalid", "is invalid", long).about(parameter)
}

func malformed(parameter, long string) *APIError {
	return fail(http.StatusUnprocessableEntity, "form_param_format_invalid", "is invalid", long).about(parameter)
}

func missing(parameter string) *APIError {
	return fail(http.StatusUnprocessableEntity, "form_param_missing", "is missing", parameter+" must be included.").about(parameter)
}

func unknownParameter(name string) *APIError {
	return fail(http.StatusUnprocessableEntity, "form_param_unknown", "is unknown", name+" is not a valid parameter for this request.").about(name)
}

func exists(parameter string) *APIError {
	return fail(http.StatusUnprocessableEntity, "form_identifier_exists", "already exists", "That "+parameter+" is taken. Please try another.").about(parameter)
}
