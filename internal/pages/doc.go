// Package pages has what the pages of clerksync have in common, whoever they are for: the look, the
// script, icons, components and texts. Package console has pages for operators, and
// internal/emulator/inspector has those of the emulated Clerk.
//
//	assets/      pages.css lists its classes at its beginning; pages.js adds keys, search while
//	             typing, dialogs and live parts, without which every page works, too
//	templates/   components: "filters", "pager", "tabs", "empty", "code" and others, each with the
//	             data that it takes
//	elements.go  functions that templates call: icons, ids, states, avatars, numbers
//	times.go     times in the zone of the visitor
//
// A page may load nothing from elsewhere and has neither inline scripts nor inline styles:
// [ContentPolicy] forbids both.
package pages
