package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// complete returns what a shell is told that the last word can become, without what it means.
func complete(t *testing.T, words ...string) string {
	t.Helper()
	var out, messages bytes.Buffer
	if code := Main(append([]string{"complete"}, words...), nil, &out, &messages); code != 0 || messages.Len() > 0 {
		t.Errorf("%q: exit code %d, %s", words, code, &messages)
	}
	var found []string
	for line := range strings.Lines(out.String()) {
		word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		found = append(found, word)
	}
	return strings.Join(found, " ")
}

func TestCompletions(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ words, want string }{
		{"us", "users"},
		{"users sh", "show"},
		{"user sh", "show"},
		{"webhooks endpoints ro", "rotate"},
		{"completion ", "bash zsh fish"},
		{"deliveries list --state d", "dead dismissed"},
		{"deliveries --state d", "dead dismissed"}, // of the command that runs without another word
		{"deliveries list --state=d", "--state=dead --state=dismissed"},
		{"deliveries list --state = d", "dead dismissed"}, // as bash splits it
		{"deliveries list --state dead --st", ""},         // it has been used
		{"tail --kind users --ki", "--kind"},              // which can be repeated
		{"tail --kind us", "users"},
		{"drift --kind sess", "sessions"},
		{"users list --lim", "--limit"},
		{"users list --limit 5", ""},
		{"users show user_1 li", ""},
		{"tail --config ", onlyFiles},
		{"tail --help --fr", "--from"},
		{"no such --fr", ""},
		{"compl", "completion"}, // and not the command that this test calls
	} {
		if got := complete(t, strings.Split(tc.words, " ")...); got != tc.want {
			t.Errorf("%q becomes %q, want %q", tc.words, got, tc.want)
		}
	}
	if all := complete(t); !strings.HasPrefix(all, "dev serve doctor status") {
		t.Errorf("without a word: %s", all)
	}
}

// The scripts are right for the shells that this machine has; bash is one of them.
func TestCompletionScripts(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish"} {
		var script, messages bytes.Buffer
		if code := Main([]string{"completion", shell}, nil, &script, &messages); code != 0 || messages.Len() > 0 {
			t.Fatalf("%s: exit code %d, %s", shell, code, &messages)
		}
		path := filepath.Join(t.TempDir(), shell)
		if err := os.WriteFile(path, script.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := exec.LookPath(shell); err != nil && shell != "bash" {
			continue
		}
		if out, err := exec.CommandContext(t.Context(), shell, "-n", path).CombinedOutput(); err != nil {
			t.Errorf("%s: %v, %s", shell, err, out)
		}
	}
	var out, messages bytes.Buffer
	if code := Main([]string{"completion", "csh"}, nil, &out, &messages); code != 2 || !strings.Contains(messages.String(), `must be one of "bash","zsh","fish"`) {
		t.Errorf("exit code %d, %s%s", code, &out, &messages)
	}
}

// bash is given the words that clerksync prints, and names of files where it says so.
func TestCompletionInBash(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "clerk sync.yaml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "bash", "-c", bashCompletion+`
clerksync() { [ "$*" = "complete tail --config = cl" ] && echo :files || printf '%s\tit means\n' "$@"; }
COMP_WORDS=(clerksync users list --li); COMP_CWORD=3; _clerksync; echo "${COMPREPLY[*]}"
COMP_WORDS=(clerksync tail --config = cl x); COMP_CWORD=4; _clerksync; echo "${COMPREPLY[0]}"`)
	command.Dir = folder
	out, err := command.CombinedOutput()
	if want := "complete users list --li\nclerk sync.yaml\n"; err != nil || string(out) != want {
		t.Errorf("%v: %q, want %q", err, out, want)
	}
}

func TestUsualWords(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]string{
		"--version":       "clerksync ",
		"version":         "go1.",
		"help":            "Start here:",
		"help users show": "Usage: clerksync users show <user>",
		"user show -h":    "Usage: clerksync users show <user>",
	} {
		var out, messages bytes.Buffer
		if code := Main(strings.Fields(words), nil, &out, &messages); code != 0 || messages.Len() > 0 || !strings.Contains(out.String(), want) {
			t.Errorf("%s: exit code %d, no %q in\n%s%s", words, code, want, &out, &messages)
		}
	}
}
