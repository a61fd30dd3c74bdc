// Package viewreader reads the live views of a mirror as facts that an emulated Clerk can compare with its own, as an
// application would read them: through the documented columns, by plain SQL.
package viewreader
