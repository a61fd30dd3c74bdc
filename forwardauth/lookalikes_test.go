package forwardauth_test

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/clerksync/clerksync/forwardauth"
)

// passes reports whether a path with this text in it may pass.
func passes(p *forwardauth.Policy, text string) bool {
	return verdict(p, "GET", "/app/x"+url.PathEscape(text)+"y") == "/app/**"
}

// The checked-in table equals the output of its generator.
func TestLookalikesAreGenerated(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "run", ".")
	cmd.Dir = "../tools/lookalikes"
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	want, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	got, err := os.ReadFile("lookalikes.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("lookalikes.go is not what tools/lookalikes writes: run go generate ./forwardauth")
	}
}

// inJavaScript prints each code point that becomes ASCII by the Unicode data of another
// implementation (ICU): as a whole, or in a part that is not a letter with a mark on it.
const inJavaScript = `
const conversions = ["NFC", "NFD", "NFKC", "NFKD"].map(form => s => s.normalize(form))
	.concat(s => s.toLowerCase(), s => s.toUpperCase(), s => s.toLocaleLowerCase("tr"), s => s.toLocaleUpperCase("tr"));
const ascii = s => /[\0-\x7f]/.test(s.normalize("NFC").replace(/[A-Za-z]\p{Mn}/gu, ""));
function becomes(s, depth) {
	return conversions.some(convert => { const t = convert(s); return t !== s && (ascii(t) || depth > 0 && becomes(t, depth - 1)) });
}
const found = [];
for (let r = 0x80; r <= 0x10ffff; r++) {
	if ((r < 0xd800 || r > 0xdfff) && becomes(String.fromCodePoint(r), 2)) found.push(r);
}
console.log(found.join("\n"));`

// Every code point that normalization or case makes ASCII is refused. One part is compared with
// ICU, the other with package unicode of the standard library. The table comes from neither.
func TestEveryLookalikeIsRefused(t *testing.T) {
	t.Parallel()
	p := parsePolicy(t, pathsPolicy)
	cache, _ := os.UserCacheDir() // where `make setup` puts a Node if the system has none
	node := program(t, "node", filepath.Join(cache, "clerksync", "node", "bin", "node"))
	out, err := exec.CommandContext(t.Context(), node, "-e", inJavaScript).Output()
	if err != nil {
		t.Fatal(err)
	}
	found := map[rune]bool{}
	for line := range strings.Lines(string(out)) {
		r, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		found[rune(r)] = true
	}
	if len(found) < 1000 {
		t.Fatalf("%d look-alikes: the judge does not work", len(found))
	}
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			found[r] = found[r] || other < 0x80
		}
		for _, other := range []rune{unicode.ToLower(r), unicode.ToUpper(r), unicode.ToTitle(r), unicode.TurkishCase.ToLower(r), unicode.TurkishCase.ToUpper(r)} {
			found[r] = found[r] || other < 0x80
		}
		ignored := unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Cf)
		found[r] = found[r] || ignored
	}
	var passed []string
	for r, ascii := range found {
		if ascii && passes(p, string(r)) {
			passed = append(passed, fmt.Sprintf("%U", r))
		}
	}
	if len(passed) > 0 {
		t.Errorf("%d look-alikes pass, such as %v", len(passed), passed[:min(len(passed), 20)])
	}
}

func TestLookalikesByExample(t *testing.T) {
	t.Parallel()
	p := parsePolicy(t, pathsPolicy)
	for _, text := range []string{
		"\u01ca", "\u00df", "\u1e9e", "\u33d2", "\ufb01", "\ufb06", "\u0131", "\u0130", "\u017f", "\u212a", "\uff41", "\uff0f", "\u2024",
		"\u2100", "\u00bc", "\u3371", "\u3250", "\U0001d41a", "\U0001f130", "\U0001fbf0", "\u034f", "\u3164", "\ufe0f", "\U000e0101", "\u00a5",
		"i\u0307", "I\u0307", "j\u0323\u0307", "\u0378", "\U0003ffff",
	} {
		if passes(p, text) {
			t.Errorf("%q passes", text)
		}
	}
	for _, text := range []string{
		"\u00e9", "e\u0301", "\u00cd\u00ec\u0129", "\u00e6\u00f8\u00e5\u00f1\u00e7\u00f0\u00fe", "\u0142\u017c\u0161", "z\u0307", "\u1ebf", "\u03b1\u03c3\u03c2",
		"\u0434\u0436", "\u05d0", "\u0639", "\u0939\u093f\u0928", "\u65e5\u672c\u8a9e", "\u3042\u30a2", "\ud55c\uad6d", "\u1112\u1161\u11ab", "\u0e44\u0e17\u0e22", "\U0001f600", "\U00020000",
	} {
		if !passes(p, text) {
			t.Errorf("%q is refused", text)
		}
	}
}
