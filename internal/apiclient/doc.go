// Package apiclient is a typed client of package api. It reaches a running server over the network
// ([Remote]), or a handler in the same process ([Local]). Commands use it, so that what they do to
// a database and to a server is the same.
package apiclient
