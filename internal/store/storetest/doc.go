// Package storetest is what a store promises, as one suite that is run against every
// engine and every way to open it.
package storetest
