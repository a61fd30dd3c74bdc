// Package yamlfile reads a YAML or JSON file that people write by hand into a Go value. It is
// strict, and reports everything that is wrong at once, each with its line and a remedy.
package yamlfile
