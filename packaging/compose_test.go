package packaging

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/clerksync/clerksync/internal/cli"
	"github.com/clerksync/clerksync/internal/config"
)

// Docker checks the rest of the file when it is used: here are the names of settings and commands.
func TestCompose(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("container/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Services map[string]struct {
			Image       string
			Environment map[string]string
			Command     []string
			Build       struct{ Context, Dockerfile string }
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	known := func(name string) bool {
		return slices.ContainsFunc(config.Settings(), func(s config.Setting) bool { return s.Name == name })
	}
	ours := 0
	for name, s := range file.Services {
		if s.Build.Dockerfile == "" {
			continue
		}
		ours++
		if _, err := os.Stat("container/" + s.Build.Context + "/" + s.Build.Dockerfile); err != nil {
			t.Error(err)
		}
		var environ []string
		for key, value := range s.Environment {
			if !known(key) {
				t.Errorf("%s: there is no setting %s", name, key)
			}
			environ = append(environ, key+"="+regexp.MustCompile(`\$\{.*\}`).ReplaceAllString(value, ""))
		}
		var out bytes.Buffer
		if code := cli.Main([]string{"config"}, environ, &out, &out); code != 0 {
			t.Errorf("%s: the settings are refused: %s", name, &out)
		}
		if code := cli.Main(append(slices.Clone(s.Command), "--help"), nil, &out, &out); code != 0 {
			t.Errorf("%s: exit code %d of %s: %s", name, code, strings.Join(s.Command, " "), &out)
		}
	}
	if ours != 2 {
		t.Errorf("%d services are clerksync", ours)
	}
}
