// Package web is the HTTP edge that all our handlers share: handlers that return
// errors, the one place that writes those errors, the middleware round every
// route in its one order, and servers that stop in order.
//
// # Errors
//
// A handler returns an error, usually a [Problem]; [WriteError] turns it into
// application/problem+json (RFC 9457). Clients tell errors apart by the member
// code, which is stable; type is always "about:blank", for which the RFC wants
// title to be the status phrase. The cause of an error is for the log alone: it
// stands in the access line of the request, never in the answer.
//
// # Order
//
// [Standard] is the whole chain, outermost first: request id, access log, panic
// recovery, security headers, then the handler, usually [NotFoundAndMethod]
// round a mux. A handler wrapped twice is served by the outer chain alone, so
// that a handler of ours logs once, mounted in our server or in someone else's.
//
// # Limits
//
// [NewServer] bounds headers and times, [Listen] connections, [ReadBody] one body and
// [Bodies] all that are on their way. A handler that streams
// moves its own deadline with [http.ResponseController] and ends when [Draining] says so.
package web
