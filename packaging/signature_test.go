package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The lines of README.md that verify a release accept what .goreleaser.yaml signs, and nothing
// else.
func TestSignature(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Signs []struct {
			Cmd  string
			Args []string
		}
	}
	if err := yaml.Unmarshal(text, &config); err != nil || len(config.Signs) != 1 {
		t.Fatalf("%v: %+v", err, config)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(readme)) {
		if words := strings.TrimSpace(line); strings.HasPrefix(words, "ssh-keygen ") || strings.HasPrefix(words, "sha256sum ") {
			lines = append(lines, words)
		}
	}
	if len(lines) != 2 {
		t.Fatalf("README.md verifies with %q", lines)
	}
	folder := t.TempDir()
	run := func(words ...string) (string, error) {
		command := exec.CommandContext(t.Context(), words[0], words[1:]...)
		command.Dir = folder
		out, err := command.CombinedOutput()
		return string(out), err
	}
	shell := func(script string) string {
		out, err := run("bash", "-euc", script)
		if err != nil {
			t.Fatalf("%s: %v: %s", script, err, out)
		}
		return out
	}
	shell(`ssh-keygen -q -t ed25519 -N '' -f key && echo "clerksync $(cat key.pub)" > allowed_signers
		echo package > clerksync_1.2.3_amd64.deb && sha256sum *.deb > checksums.txt && echo "$(printf '%064d' 0)  other.tar.gz" >> checksums.txt`)
	sign := []string{config.Signs[0].Cmd}
	for _, word := range config.Signs[0].Args {
		sign = append(sign, strings.NewReplacer("{{ .Env.RELEASE_KEY }}", "key", "${artifact}", "checksums.txt").Replace(word))
	}
	if out, err := run(sign...); err != nil {
		t.Fatalf("%q: %v: %s", sign, err, out)
	}
	verify := strings.Join(lines, " && ")
	if out := shell(verify); !strings.Contains(out, `Good "clerksync-release" signature for clerksync`) || !strings.Contains(out, "clerksync_1.2.3_amd64.deb: OK") {
		t.Errorf("%s", out)
	}
	for what, change := range map[string]string{
		"another package": `cp -r . $1; echo virus > $1/clerksync_1.2.3_amd64.deb`,
		"another list":    `cp -r . $1; echo virus > $1/clerksync_1.2.3_amd64.deb; cd $1; sha256sum *.deb > checksums.txt`,
		"another key":     `cp -r . $1; cd $1; rm *.sig key*; ssh-keygen -q -t ed25519 -N '' -f key; ssh-keygen -Y sign -q -n clerksync-release -f key checksums.txt`,
	} {
		other := filepath.Join(t.TempDir(), "copy")
		if out, err := run("bash", "-euc", change, "bash", other); err != nil {
			t.Fatalf("%s: %v: %s", what, err, out)
		}
		if out, err := run(slices.Concat([]string{"bash", "-euc", "cd $1; " + verify, "bash"}, []string{other})...); err == nil {
			t.Errorf("%s is accepted: %s", what, out)
		}
	}
}
