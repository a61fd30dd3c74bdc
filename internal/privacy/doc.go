// Package privacy keeps personal data out of the mirror: it redacts what must never be stored
// (redact.go, redactor.go), erases users (erase.go), and searches for copies of erased users in
// other rows and in stored deliveries (erase_search.go, finder.go). What comes later about erased
// users is reduced before it is merged (erased.go).
package privacy
