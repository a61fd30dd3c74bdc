package forwardauth_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/clerksync/clerksync/forwardauth"
	"github.com/clerksync/clerksync/internal/testenv"
)

// manifest is what the tests need of an object in the recipe for ingress-nginx.
type manifest struct {
	Kind     string `yaml:"kind"`
	Metadata struct {
		Name        string            `yaml:"name"`
		Namespace   string            `yaml:"namespace"`
		Annotations map[string]string `yaml:"annotations"`
	} `yaml:"metadata"`
	Data map[string]string `yaml:"data"`
}

// ingressRecipe returns the headers that the controller takes from the answer, and those that it
// sets for all applications.
func ingressRecipe(t *testing.T) (fromAnswer []string, set map[string]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testenv.Root(t), "examples", "ingress-nginx", "ingress.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	const annotation = "nginx.ingress.kubernetes.io/"
	maps := map[string]manifest{}
	ingress, controller := manifest{}, manifest{}
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var m manifest
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		maps[m.Metadata.Namespace+"/"+m.Metadata.Name] = m
		switch {
		case m.Metadata.Annotations[annotation+"auth-url"] != "":
			ingress = m
		case m.Data["proxy-set-headers"] != "":
			controller = m
		}
	}
	set = maps[controller.Data["proxy-set-headers"]].Data
	if url := ingress.Metadata.Annotations[annotation+"auth-url"]; !strings.HasSuffix(url, forwardauth.Path) || len(set) == 0 {
		t.Fatalf("auth-url %q, headers %v", url, set)
	}
	for name := range strings.SplitSeq(ingress.Metadata.Annotations[annotation+"auth-response-headers"], ",") {
		fromAnswer = append(fromAnswer, strings.TrimSpace(name))
	}
	return fromAnswer, set
}

// startIngressNginx starts nginx with the directives that the controller makes of the recipe.
func startIngressNginx(s *site) string {
	s.Helper()
	fromAnswer, set := ingressRecipe(s.T)
	var answered, blanked strings.Builder
	for i, name := range fromAnswer {
		variable := strings.ReplaceAll(strings.ToLower(name), "-", "_")
		fmt.Fprintf(&answered, "auth_request_set $authHeader%d $upstream_http_%s;\nproxy_set_header '%s' $authHeader%d;\n", i, variable, name, i)
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		fmt.Fprintf(&blanked, "proxy_set_header %s %q;\n", name, set[name])
	}
	return s.startNginx("forwardauth/testdata/ingress-nginx.conf",
		"# @auth-response-headers", answered.String(), "# @proxy-set-headers", blanked.String())
}

// With ingress-nginx the client's Host is a part of the original URL.
func TestIngressHosts(t *testing.T) {
	t.Parallel()
	s := newSite(t, forwardauth.ProxyIngressNginx)
	p := &proxy{s, forwardauth.ProxyIngressNginx, startIngressNginx(s)}
	for _, host := range []string{
		"a/public/x?", "a/public/x#", "a?/public/x", "a#", "u@a", `a\\public`, "a%2fpublic", "a b", "/public/x", "a\tb", "[::1]/public/x", "a:80/public/x?", "", ":80", "a;b", "\xff",
	} {
		for _, target := range []string{"/admin/x", "/nowhere", "http://app.example.com/admin/x"} {
			a := p.raw("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: Bearer " + p.adaToken + "\r\nConnection: close\r\n\r\n")
			if seen := p.app.take(); a.status == 200 || len(seen) > 0 {
				p.Errorf("%s of %q: %d %v", target, host, a.status, seen)
			}
		}
	}
	for _, host := range []string{"app.example.com", "APP.example.com:8443", "[::1]", "127.0.0.1:80"} {
		a := p.raw("GET /app/x HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: Bearer " + p.adaToken + "\r\nConnection: close\r\n\r\n")
		if a.status != 200 {
			p.Errorf("/app/x of %q: %d %s", host, a.status, a.body)
			continue
		}
		p.isAda(p.arrived())
	}
}
