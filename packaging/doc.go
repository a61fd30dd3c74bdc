// Package packaging has no code: its tests build what a release consists of, and run it.
package packaging
