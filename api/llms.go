package api

import (
	"io"
	"net/http"
	"reflect"
	"strings"
)

const llmsHead = `# clerksync

> A mirror of a Clerk instance: users, sessions, organizations, memberships and webhook deliveries, kept in sync in a database. These routes are for
> operators and administrators. Every request needs "Authorization: Bearer TOKEN" with the token of an operator.

Lists answer {"data": [...], "next_cursor": ...}: pass next_cursor as after for the next page; it is null on the last one. Parameters that are not known
are refused. Times are RFC 3339. Errors are problem+json with a code. Routes that are not GET change something, unless it is said otherwise.

## Assistants

- POST %s/mcp: tools over the Model Context Protocol, which read and change nothing

## Routes

`

const llmsTail = `
## Optional

- [HTTP API](https://github.com/clerksync/clerksync/blob/main/docs/http-api.md): answers, errors and parameters
- [OpenAPI](https://github.com/clerksync/clerksync/blob/main/api/openapi.yaml): the same for programs
- [Concepts](https://github.com/clerksync/clerksync/blob/main/docs/concepts.md): states of rows and deliveries
- [Operations](https://github.com/clerksync/clerksync/blob/main/docs/operations.md): what to do when something fails
`

// llms serves /llms.txt, which tells AI assistants what there is. See https://llmstxt.org.
func (h *handler) llms(w http.ResponseWriter, _ *http.Request, _ client) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, err := io.WriteString(w, h.llmsText())
	return err
}

// llmsText lists the routes with their parameters.
func (h *handler) llmsText() string {
	var b strings.Builder
	b.WriteString(strings.Replace(llmsHead, "%s", h.prefix, 1))
	for _, to := range h.table() {
		if to.path == "/mcp" || to.path == "/llms.txt" {
			continue
		}
		b.WriteString("- " + to.method + " " + h.prefix + to.path)
		if len(to.parameters) > 0 {
			b.WriteString("; parameters: " + strings.Join(to.parameterNames(), ", "))
		}
		if to.body != nil && len(fieldNames(reflect.TypeOf(to.body).Elem())) > 0 {
			b.WriteString("; body: " + strings.Join(fieldNames(reflect.TypeOf(to.body).Elem()), ", "))
		}
		if to.method != http.MethodGet && !to.writes {
			b.WriteString("; changes nothing")
		}
		b.WriteByte('\n')
	}
	b.WriteString(llmsTail)
	return b.String()
}
