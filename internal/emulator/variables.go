package emulator

import "strings"

// Variable is an environment variable.
type Variable struct{ Name, Value string }

// Environment returns what a server, a web framework and clerksync must be told. proxy is the path
// or the URL at which browsers find the Frontend API.
func (k Keys) Environment(proxy string) []Variable {
	pem := strings.TrimSpace(k.PEM)
	all := []Variable{
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
	public := []Variable{
		{"PROXY_URL", proxy},
		{"SIGN_IN_URL", "/sign-in"},
		{"SIGN_UP_URL", "/sign-up"},
		{"TELEMETRY_DISABLED", "1"},
	}
	if !strings.HasPrefix(proxy, "/") { // SDKs load scripts over https, unless they are told from where
		public = append(public,
			Variable{"JS_URL", proxy + "/npm/@clerk/clerk-js/dist/clerk.browser.js"},
			Variable{"UI_URL", proxy + "/npm/@clerk/ui/dist/ui.browser.js"})
	}
	// servers, Next.js, Vite, Astro and SvelteKit, Nuxt
	for _, prefix := range []string{"CLERK_", "NEXT_PUBLIC_CLERK_", "VITE_CLERK_", "PUBLIC_CLERK_", "NUXT_PUBLIC_CLERK_"} {
		if prefix != "CLERK_" {
			all = append(all, Variable{prefix + "PUBLISHABLE_KEY", k.PublishableKey})
		}
		for _, v := range public {
			all = append(all, Variable{prefix + v.Name, v.Value})
		}
	}
	return all
}
