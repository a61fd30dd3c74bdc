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

// variable is an environment variable.
type variable struct{ name, value string }

// environment returns what a server, a web framework and clerksync must be told. proxy is the path
// or the URL at which browsers find the Frontend API.
func environment(k emulator.Keys, proxy string) []variable {
	pem := strings.TrimSpace(k.PEM)
	all := []variable{
		{"CLERK_API_URL", k.APIURL},
		{"CLERK_SECRET_KEY", k.SecretKey},
		{"CLERK_PUBLISHABLE_KEY", k.PublishableKey},
		{"CLERK_WEBHOOK_SIGNING_SECRET", k.WebhookSecret},
		{"CLERK_ISSUER", k.Issuer},
		{"CLERK_INSTANCE_ID", k.InstanceID},
		{"CLERK_JWT_KEY", pem},
		{"CLERK_FAPI_URL", k.APIURL},
		{"NUXT_CLERK_SECRET_KEY", k.SecretKey},
		{"NUXT_CLERK_API_URL", k.APIURL},
		{"NUXT_CLERK_WEBHOOK_SIGNING_SECRET", k.WebhookSecret},
	}
	public := []variable{
		{"PROXY_URL", proxy},
		{"SIGN_IN_URL", "/sign-in"},
		{"SIGN_UP_URL", "/sign-up"},
		{"TELEMETRY_DISABLED", "1"},
	}
	if !strings.HasPrefix(proxy, "/") { // SDKs load scripts over https, unless they are told from where
		public = append(public,
			variable{"JS_URL", proxy + "/npm/@clerk/clerk-js/dist/clerk.browser.js"},
			variable{"UI_URL", proxy + "/npm/@clerk/ui/dist/ui.browser.js"})
	}
	// servers, Next.js, Vite, Astro and SvelteKit, Nuxt
	for _, prefix := range []string{"CLERK_", "NEXT_PUBLIC_CLERK_", "VITE_CLERK_", "PUBLIC_CLERK_", "NUXT_PUBLIC_CLERK_"} {
		if prefix != "CLERK_" {
			all = append(all, variable{prefix + "PUBLISHABLE_KEY", k.PublishableKey})
		}
		for _, v := range public {
			all = append(all, variable{prefix + v.name, v.value})
		}
	}
	return all
}

// printEnv prints variables in a form that sh, node --env-file and dotenv read alike. They all take
// a text in single quotes as it stands, with its line breaks; no value has a single quote. Clerk's
// SDKs need the lines of the key: they do not know \n.
func printEnv(w io.Writer, variables []variable) {
	for _, v := range variables {
		if v.value != "" {
			fmt.Fprintf(w, "export %s='%s'\n", v.name, v.value)
		}
	}
}

// printJSON prints the keys, and the variables by their names, as one line.
func printJSON(w io.Writer, k emulator.Keys, variables []variable) {
	printed := struct {
		emulator.Keys

		Env map[string]string `json:"env"`
	}{k, map[string]string{}}
	for _, v := range variables {
		printed.Env[v.name] = v.value
	}
	_ = json.NewEncoder(w).Encode(printed) //nolint:errchkjson // to the terminal: nothing is left to do
}
