// Package docs has no code. Its tests check the documents of this repository: links lead somewhere,
// commands, flags, make targets, settings and files that a document names exist, and Go in
// documents compiles. They also run the example that the documents begin with, examples/deals.
//
// A block of Go that begins with a package clause must compile, and pass if it is a test. Any other
// block of Go must parse, as declarations or as statements. Blocks of JSON and YAML must parse,
// too.
//
// CHANGELOG.md and docs/adr tell what was so at their time. Only their links are checked.
package docs
