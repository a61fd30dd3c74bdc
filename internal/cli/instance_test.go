package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// From one instance to another with the commands alone, as the errors say.
func TestInstanceCommands(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			dev, live := newReadBench(t, engine), newReadBench(t, engine)
			moved := with(live.environ, dev.environ[0]) // the keys of live on the database of dev
			says := func(environ []string, code int, words string, want ...string) string {
				t.Helper()
				out := dev.run(environ, code, strings.Fields(words)...)
				for _, text := range want {
					if !strings.Contains(out, text) {
						t.Errorf("%s: no %q in\n%s", words, text, out)
					}
				}
				return out
			}
			says(dev.environ, 0, "instance", "mirrors      ins_", "keys         ins_")
			says(moved, 1, "serve --listen 127.0.0.1:0 --operator-listen off", "clerksync instance reset")
			out := says(moved, 1, "instance", "those of another instance", "clerksync instance adopt")
			ids := strings.Fields(out[strings.Index(out, "mirrors")+len("mirrors"):])
			was, id := ids[0], ids[2]
			says(dev.environ, 0, "instance adopt --instance "+was, "there is nothing to do")
			says(moved, 2, "instance adopt --instance "+was, "this is about "+id)
			says(moved, 1, "instance adopt --instance "+id, "not those of this Clerk instance", "instance reset")
			says(moved, 2, "instance reset --instance "+id, "this is about "+was)
			says(append(without(moved, "CLERK_"), "CLERKSYNC_LOG_LEVEL=error"), 1, "instance reset", "name no Clerk instance", "CLERK_SECRET_KEY")
			out = says(moved, 0, "instance reset --instance "+was, "rows were deleted", "mirrors "+id, "clerksync serve")
			if engine == "sqlite" {
				copies, err := filepath.Glob(strings.TrimPrefix(dev.environ[0], "DATABASE_URL=sqlite:") + ".before-reset-*")
				if err != nil || len(copies) != 1 || !strings.Contains(out, copies[0]) {
					t.Fatalf("copies %v, %v\n%s", copies, err, out)
				}
				says(dev.environ, 0, "restore --check "+copies[0], "whole", was)
				if err := errors.Join(os.Remove(copies[0])); err != nil {
					t.Error(err)
				}
			}
			says(moved, 0, "audit --action instance", was+" → "+id)
			says(moved, 0, "backfill")
			says(moved, 0, "instance", "mirrors      "+id)
			says(dev.environ, 1, "backfill", "another Clerk instance")
		})
	}
}

// without returns an environment without the names that begin with a text.
func without(environ []string, prefix string) (rest []string) {
	for _, e := range environ {
		if !strings.HasPrefix(e, prefix) {
			rest = append(rest, e)
		}
	}
	return rest
}
