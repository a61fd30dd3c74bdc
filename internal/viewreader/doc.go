// Package viewreader reads a mirror as facts that an emulated Clerk can compare with its own. [New]
// reads the live views by plain SQL, as an application would. [FromAPI] reads through the public
// API.
package viewreader
