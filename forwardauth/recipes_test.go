package forwardauth_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/clerksync/clerksync/forwardauth"
	"github.com/clerksync/clerksync/internal/testenv"
)

// recipe reads a YAML file of examples/ and returns the values of a key, wherever it stands.
func recipe(t *testing.T, file string) func(key string) []*yaml.Node {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testenv.Root(t), "examples", file))
	if err != nil {
		t.Fatal(err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	return func(key string) (values []*yaml.Node) {
		var walk func(n *yaml.Node)
		walk = func(n *yaml.Node) {
			for i, child := range n.Content {
				if n.Kind == yaml.MappingNode && i%2 == 0 && child.Value == key {
					values = append(values, n.Content[i+1])
				}
				walk(child)
			}
		}
		walk(&document)
		return values
	}
}

// attacks are headers that must not reach an application, as a client may spell them.
func attacks() (lines []string) {
	for name, value := range map[string]string{
		"X-HTTP-Method-Override": "DELETE", "X-HTTP-Method": "DELETE", "X-Method-Override": "DELETE", "X-Method": "DELETE",
		"X-Original-URL": "/admin/x", "X-Original-URI": "/admin/x", "X-Rewrite-URL": "/admin/x", "X-Rewrite-URI": "/admin/x", "X-Override-URL": "/admin/x",
		"X-Forwarded-URL": "/admin/x", "X-Script-Name": "/public", "Script-Name": "/public", "Path-Info": "/admin/x", "Request-URI": "/admin/x",
		"X-Clerk-Anything": "evil",
	} {
		for _, alias := range spellings(name) {
			lines = append(lines, alias+": "+value)
		}
	}
	for _, name := range forwardauth.Headers() {
		for _, alias := range spellings(name)[3:] { // the proxy overwrites the name itself
			lines = append(lines, alias+": evil")
		}
	}
	return lines
}

// Traefik removes the headers that the recipe names and passes all others to the check.
func TestTraefikRecipe(t *testing.T) {
	t.Parallel()
	values := recipe(t, "traefik/dynamic.yaml")
	if len(values("authRequestHeaders")) > 0 || values("trustForwardHeader")[0].Value != "false" {
		t.Error("the check does not see all headers, or those that tell the original request are the client's")
	}
	removed := map[string]bool{}
	for i, name := range values("customRequestHeaders")[0].Content {
		if i%2 == 0 {
			removed[http.CanonicalHeaderKey(name.Value)] = true
		}
	}
	h := handler(t, &fake{}, forwardauth.Config{Policy: parsePolicy(t, sitePolicy), TrustedProxies: proxies, Proxy: forwardauth.ProxyTraefik})
	for _, line := range attacks() {
		name, _, _ := strings.Cut(line, ": ")
		if removed[http.CanonicalHeaderKey(name)] {
			continue
		}
		if w := check(t, h, "GET", verify, caddy, "X-Forwarded-Uri: /public/x", line); w.Code != http.StatusForbidden {
			t.Errorf("%s reaches the application: the check answers %d", line, w.Code)
		}
	}
}

// Envoy rejects underscores, removes the headers that the recipe names, and passes those to the
// check that match a pattern.
func TestEnvoyRecipe(t *testing.T) {
	t.Parallel()
	values := recipe(t, "envoy/envoy.yaml")
	if values("headers_with_underscores_action")[0].Value != "REJECT_REQUEST" {
		t.Error("headers with underscores are not rejected")
	}
	removed := map[string]bool{}
	for _, name := range values("remove") {
		removed[name.Value] = true
	}
	var patterns []map[string]string
	if err := values("allowed_headers")[0].Content[1].Decode(&patterns); err != nil {
		t.Fatal(err)
	}
	seen := func(name string) bool {
		return slices.ContainsFunc(patterns, func(p map[string]string) bool {
			return p["exact"] == name || p["contains"] != "" && p["ignore_case"] == "true" && strings.Contains(name, p["contains"])
		})
	}
	h := handler(t, &fake{}, forwardauth.Config{Policy: parsePolicy(t, sitePolicy), TrustedProxies: proxies, Proxy: forwardauth.ProxyEnvoy})
	for _, line := range attacks() {
		name, _, _ := strings.Cut(line, ": ")
		name = strings.ToLower(name) // as Envoy does
		if strings.Contains(name, "_") || removed[name] {
			continue
		}
		if w := check(t, h, "GET", verify+"/public/x", line); !seen(name) || w.Code != http.StatusForbidden {
			t.Errorf("%s reaches the application: the check sees it: %v, and answers %d", line, seen(name), w.Code)
		}
	}
}
