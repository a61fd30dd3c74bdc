package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"

	"github.com/clerksync/clerksync/internal/emulator"
)

const (
	// proxyPath is the path that Clerk's SDKs forward to the Frontend API by default.
	proxyPath = "/__clerk"
	// directly is the value of --proxy-url that has browsers ask the emulator itself.
	directly = "direct"
)

// checkProxyURL refuses what Clerk's SDKs cannot use as the address of the Frontend API.
func checkProxyURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case text == directly:
		return nil
	case err == nil && u.Scheme == "" && u.Host == "" && strings.HasPrefix(text, "/") && len(text) > 1 && u.RawQuery+u.Fragment == "":
	case err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.RawQuery+u.Fragment == "":
	default:
		return fmt.Errorf("--proxy-url %q is not a path such as %s, a URL such as http://localhost:4010, or %s", text, proxyPath, directly)
	}
	if strings.ContainsAny(text, "'\"\\$\x60 \n") {
		return fmt.Errorf("--proxy-url %q has characters that a shell reads in its own way", text)
	}
	return nil
}

// proxyURL returns where browsers find the Frontend API: a path of the app, or a URL. Cookies go by
// host name, so that a browser which is on localhost must not be sent to 127.0.0.1.
func proxyURL(choice, emulatorURL string) string {
	if choice != directly {
		return choice
	}
	u, err := url.Parse(emulatorURL)
	if err != nil {
		return emulatorURL
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsLoopback() {
		u.Host = net.JoinHostPort("localhost", u.Port())
	}
	return u.String()
}

// printEnv prints variables in a form that sh, node --env-file and dotenv read alike. They all take
// a text in single quotes as it stands, with its line breaks; no value has a single quote. Clerk's
// SDKs need the lines of the key: they do not know \n.
func printEnv(w io.Writer, variables []emulator.Variable) {
	for _, v := range variables {
		if v.Value != "" {
			fmt.Fprintf(w, "export %s='%s'\n", v.Name, v.Value)
		}
	}
}

// printJSON prints the keys, and the variables by their names, as one line.
func printJSON(w io.Writer, k emulator.Keys, variables []emulator.Variable) {
	printed := struct {
		emulator.Keys

		Env map[string]string `json:"env"`
	}{k, map[string]string{}}
	for _, v := range variables {
		printed.Env[v.Name] = v.Value
	}
	_ = json.NewEncoder(w).Encode(printed) //nolint:errchkjson // to the terminal: nothing is left to do
}
