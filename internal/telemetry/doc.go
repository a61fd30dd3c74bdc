// Package telemetry makes loggers that hide secrets, and exports metrics and traces
// ([Start]).
//
// [Redact] stands before any [slog.Handler] and is the last line of defence, not
// the first: code must not log secrets or personal data to begin with. It hides
//
//   - the value of every attribute whose key names a secret or a way to reach a
//     person (token, cookie, signature, api_key, email, phone, …), whole groups included;
//   - what is recognizable by its form wherever it occurs, in messages, values,
//     errors, and keys: JSON Web Tokens, Clerk secret keys and machine tokens,
//     webhook secrets, e-mail addresses, passwords inside URLs.
//
// It does not recognize names of people, telephone numbers or addresses in free
// text, nor secrets without a form: those are hidden by their key or not at all.
package telemetry
