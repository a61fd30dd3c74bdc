package testenv

import (
	"net"
	"strings"
	"testing"
)

// FreeAddress returns an address of this machine on which nothing listens, for a program that has
// to be told one.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// NginxFolders returns the directives that keep the temporary files of nginx in its folder.
func NginxFolders() string {
	var b strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		b.WriteString(kind + "_temp_path tmp_" + kind + ";\n")
	}
	return b.String()
}
