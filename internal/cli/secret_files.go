package cli

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/mirror"
)

const (
	// secretFilesEvery is how often the files of secrets are read. A new content counts once two
	// reads found it, because the first one may meet a file that is being written.
	secretFilesEvery = time.Second
	// secretRetry is how long after a failure a secret that is not in use yet is tried again.
	secretRetry = 15 * time.Second
)

// fileSecret is a secret that a server takes from its file while it runs.
type fileSecret struct {
	name string // of the setting
	// take puts the value of next into force, and into the configuration in force.
	take func(ctx context.Context, w *secretFiles, inForce, next *config.Config) error
}

// fileSecrets are the secrets that a server takes from their files. All other settings need a
// restart.
func fileSecrets() []fileSecret {
	return []fileSecret{
		{"CLERK_WEBHOOK_SIGNING_SECRET", func(ctx context.Context, w *secretFiles, inForce, next *config.Config) error {
			if len(next.WebhookSecrets) == 0 {
				return errors.New("the file is empty")
			}
			inForce.WebhookSecrets = next.WebhookSecrets
			return clerksync.Rotate(ctx, w.mirror, clerksync.Secrets{WebhookSecrets: next.WebhookSecrets})
		}},
		{"CLERK_SECRET_KEY", func(ctx context.Context, w *secretFiles, inForce, next *config.Config) error {
			if inForce.JWTAlgorithm == "HS256" && inForce.JWTKey == inForce.SecretKey {
				return errors.New("the secret key also verifies tokens (HS256), so it is changed by a restart")
			}
			inForce.SecretKey = next.SecretKey
			return clerksync.Rotate(ctx, w.mirror, clerksync.Secrets{SecretKey: next.SecretKey})
		}},
		{"CLERK_MACHINE_SECRET_KEY", func(ctx context.Context, w *secretFiles, inForce, next *config.Config) error {
			inForce.MachineSecretKey = next.MachineSecretKey
			return clerksync.Rotate(ctx, w.mirror, clerksync.Secrets{MachineSecretKey: next.MachineSecretKey})
		}},
		{"CLERKSYNC_OPERATOR_TOKEN", func(_ context.Context, w *secretFiles, inForce, next *config.Config) error {
			return w.serveWith(inForce, &inForce.OperatorToken, next.OperatorToken)
		}},
		{"CLERKSYNC_IDENTITY_SECRET", func(_ context.Context, w *secretFiles, inForce, next *config.Config) error {
			return w.serveWith(inForce, &inForce.IdentitySecret, next.IdentitySecret)
		}},
	}
}

// secretFiles takes new secrets out of the files that settings name (NAME_FILE), while the server
// runs. A value that cannot be used leaves the one before in force, and is a warning of the mirror.
type secretFiles struct {
	logger *slog.Logger
	mirror *clerksync.Mirror
	serve  func(*config.Config) error // makes the server answer by another configuration

	config  *config.Config // in force
	files   []*secretFile
	refused atomic.Pointer[[]mirror.Warning]
}

// secretFile is one file and what is known of it.
type secretFile struct {
	fileSecret
	path         string
	used, seen   [sha256.Size]byte // digests of the content in force, and of the last read
	refused      string            // why the present content is not in force; "": it is
	refusedSince [sha256.Size]byte // the content that was refused
	retryAt      time.Time
}

// newSecretFiles notes what the files contain now.
func newSecretFiles(cfg *config.Config, logger *slog.Logger) *secretFiles {
	w := &secretFiles{config: cfg, logger: logger}
	for _, s := range fileSecrets() {
		if path := cfg.Files[s.name]; path != "" {
			digest := digestOf(path)
			w.files = append(w.files, &secretFile{fileSecret: s, path: path, used: digest, seen: digest})
		}
	}
	return w
}

// digestOf returns a digest of a small file, or of the reason why it cannot be read.
func digestOf(path string) [sha256.Size]byte {
	const most = 1 << 20
	file, err := os.Open(path) //nolint:gosec // the operator names it
	if err != nil {
		return sha256.Sum256([]byte("unreadable"))
	}
	defer file.Close() //nolint:errcheck // only read
	content, err := io.ReadAll(io.LimitReader(file, most))
	if err != nil {
		return sha256.Sum256([]byte("unreadable"))
	}
	return sha256.Sum256(content)
}

// run looks at the files until the context ends. serve makes the server answer by another
// configuration.
func (w *secretFiles) run(ctx context.Context, m *clerksync.Mirror, serve func(*config.Config) error) {
	w.mirror, w.serve = m, serve
	if len(w.files) == 0 {
		return
	}
	tick := time.NewTicker(secretFilesEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.look(ctx)
		}
	}
}

// look reads the files once, and takes what is new.
func (w *secretFiles) look(ctx context.Context) {
	var changed []*secretFile
	for _, f := range w.files {
		digest, now := digestOf(f.path), time.Now()
		stable := digest == f.seen
		f.seen = digest
		switch {
		case !stable:
		case digest == f.used:
			f.refused = ""
		case f.refused == "" || f.refusedSince != digest || now.After(f.retryAt):
			changed = append(changed, f)
		}
	}
	if len(changed) > 0 {
		w.take(ctx, changed)
	}
	w.warn()
}

// take loads the configuration again and takes the values of the changed files. Nothing else of
// what was loaded counts.
func (w *secretFiles) take(ctx context.Context, changed []*secretFile) {
	next, _, err := w.config.Reload()
	for _, f := range changed {
		reason := err
		if reason == nil {
			inForce := *w.config
			if reason = f.take(ctx, w, &inForce, next); reason == nil {
				w.config = &inForce
			}
		}
		if reason == nil {
			f.used, f.refused = f.seen, ""
			w.logger.Info("a secret was replaced by the new content of its file", "setting", f.name)
			continue
		}
		text := reasonOf(reason)
		if f.refused != text || f.refusedSince != f.seen {
			w.logger.Warn("the new content of a file is not used; the secret before stays in force", "setting", f.name, "reason", text)
		}
		f.refused, f.refusedSince, f.retryAt = text, f.seen, time.Now().Add(secretRetry)
	}
}

// reasonOf says in a line why a file is not used. Faults of the configuration quote no value.
func reasonOf(err error) string {
	faults, ok := errors.AsType[config.Faults](err)
	if !ok {
		return oneLine(err.Error(), 300)
	}
	var texts []string
	for _, f := range faults {
		texts = append(texts, fmt.Sprintf("%s (%s)", f.What, f.Name))
	}
	return oneLine(strings.Join(texts, "; "), 300)
}

// serveWith sets one value of the configuration in force, and makes the server answer with it.
func (w *secretFiles) serveWith(inForce *config.Config, value *string, next string) error {
	*value = next
	return w.serve(inForce)
}

// warn notes the warnings about files that are not used.
func (w *secretFiles) warn() {
	var found []mirror.Warning
	for _, f := range w.files {
		if f.refused == "" {
			continue
		}
		found = append(found, mirror.Warning{
			Code: "secret_file_unused", Severity: mirror.SeverityWarning,
			Message: fmt.Sprintf("The file of %s has a new content that this server does not use: %s. The secret before stays in force until a restart, "+
				"which fails or takes the new one.", f.name, strings.TrimRight(f.refused, ".")),
			Remedy: "Correct the file. It is read each second.",
		})
	}
	w.refused.Store(&found)
}

// warnings returns the warnings of the last look.
func (w *secretFiles) warnings() []mirror.Warning {
	if found := w.refused.Load(); found != nil {
		return slices.Clone(*found)
	}
	return nil
}
