package cli

import (
	"bytes"
	"encoding/json"
	"regexp"
	"runtime"
	"testing"
)

func TestVersion(t *testing.T) {
	t.Parallel()
	var out, messages bytes.Buffer
	if code := Main([]string{"version", "--json"}, nil, &out, &messages); code != 0 || messages.Len() > 0 {
		t.Fatalf("exit code %d: %s", code, &messages)
	}
	var v map[string]any
	if err := json.Unmarshal(out.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"version", "commit", "dirty", "date", "go", "sqlite", "schema", "platform"} {
		if _, ok := v[name]; !ok {
			t.Errorf("%s is missing in %s", name, &out)
		}
	}
	sqliteVersion, _ := v["sqlite"].(string)
	if schema, _ := v["schema"].(float64); v["go"] != runtime.Version() || schema < 1 || !regexp.MustCompile(`^3\.\d+\.\d+$`).MatchString(sqliteVersion) {
		t.Errorf("%s", &out)
	}
	out.Reset()
	line := regexp.MustCompile(`^clerksync \S+ \((?:commit .*, )?go1\.\S+, \w+/\w+, SQLite 3\.\d+\.\d+, schema \d+\)\n$`)
	if code := Main([]string{"--version"}, nil, &out, &messages); code != 0 || !line.MatchString(out.String()) {
		t.Errorf("exit code %d: %s", code, &out)
	}
}
