//go:build linux

package packaging

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const root = ".." // of the repository

// imageConfig is what the image says about how it is run.
type imageConfig struct {
	Architecture, OS string
	Config           struct {
		User, WorkingDir     string
		Entrypoint, Cmd, Env []string
		Volumes              map[string]struct{}
		Labels               map[string]string
		Healthcheck          struct {
			Test                           []string
			Interval, Timeout, StartPeriod time.Duration
			Retries                        int
		}
	}
}

// built is the binary and the image, which are made once for all tests.
var built = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "packaging")
	if err != nil {
		return "", err
	}
	binary, pack := filepath.Join(folder, "clerksync"), filepath.Join(folder, "pack")
	steps := [][]string{
		{"env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "./cmd/clerksync"},
		{"go", "-C", "tools/pack", "build", "-o", pack, "."},
	}
	for name, amd64 := range map[string]string{"image": binary, "small": "LICENSE", "again": "LICENSE"} {
		steps = append(steps, []string{
			pack, "image", "-amd64", amd64, "-arm64", "LICENSE", "-version", "1.2.3", "-commit", "0123456789ab", "-time", "1700000000", "-out", filepath.Join(folder, name),
		})
	}
	for _, words := range steps {
		command := exec.CommandContext(context.Background(), words[0], words[1:]...)
		command.Dir = root
		if out, err := command.CombinedOutput(); err != nil {
			return folder, fmt.Errorf("%s: %w\n%s", strings.Join(words, " "), err, out)
		}
	}
	return folder, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if folder, _ := built(); folder != "" {
		_ = os.RemoveAll(folder)
	}
	os.Exit(code)
}

// blob reads a file of an OCI layout by its digest.
func blob(t *testing.T, layout, digest string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(layout, "blobs", strings.Replace(digest, ":", "/", 1)))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func decode[T any](t *testing.T, text []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

type descriptor struct {
	Digest   string
	Platform struct{ OS, Architecture string }
}

// imageFor returns what the image for an architecture says, and its only layer.
func imageFor(t *testing.T, layout, arch string) (imageConfig, []byte) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(layout, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	index := decode[struct{ Manifests []descriptor }](t, text)
	i := slices.IndexFunc(index.Manifests, func(d descriptor) bool { return d.Platform.Architecture == arch && d.Platform.OS == "linux" })
	if i < 0 {
		t.Fatalf("no linux/%s in %s", arch, text)
	}
	manifest := decode[struct {
		Config descriptor
		Layers []descriptor
	}](t, blob(t, layout, index.Manifests[i].Digest))
	if len(manifest.Layers) != 1 {
		t.Fatalf("%d layers", len(manifest.Layers))
	}
	return decode[imageConfig](t, blob(t, layout, manifest.Config.Digest)), blob(t, layout, manifest.Layers[0].Digest)
}

func TestImage(t *testing.T) {
	t.Parallel()
	folder, err := built()
	if err != nil {
		t.Fatal(err)
	}
	layout := filepath.Join(folder, "image")
	first, err := os.ReadFile(filepath.Join(folder, "small", "index.json"))
	second, err2 := os.ReadFile(filepath.Join(folder, "again", "index.json"))
	if err = errors.Join(err, err2); err != nil || !bytes.Equal(first, second) { // it has the digest of everything
		t.Errorf("two images of the same file differ: %v\n%s\n%s", err, first, second)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		config, layer := imageFor(t, layout, arch)
		if config.Architecture != arch || config.OS != "linux" || config.Config.Labels["org.opencontainers.image.version"] != "1.2.3" {
			t.Errorf("%s: %+v", arch, config)
		}
		sameAsDockerfile(t, config)
		if own := unpack(t, layer, t.TempDir()); !slices.Equal(own, []string{"data/"}) {
			t.Errorf("the user owns %v", own)
		}
	}
}

// sameAsDockerfile compares what the image says with packaging/container/Dockerfile.
func sameAsDockerfile(t *testing.T, image imageConfig) {
	t.Helper()
	text, err := os.ReadFile("container/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	_, final, _ := strings.Cut(string(text), "\nFROM scratch\n")
	quoted := func(words []string) string {
		list, _ := json.Marshal(words)
		return strings.ReplaceAll(string(list), `","`, `", "`)
	}
	c, h := image.Config, image.Config.Healthcheck
	for _, line := range []string{
		"USER " + c.User, "WORKDIR " + c.WorkingDir, "ENV " + strings.Join(c.Env, " "), "ENTRYPOINT " + quoted(c.Entrypoint), "CMD " + quoted(c.Cmd), "VOLUME /data",
		fmt.Sprintf("HEALTHCHECK --interval=%s --timeout=%s --start-period=%s --retries=%d CMD %s", h.Interval, h.Timeout, h.StartPeriod, h.Retries, quoted(h.Test[1:])),
	} {
		if !strings.Contains(final, line+"\n") {
			t.Errorf("the Dockerfile has no line %q", line)
		}
	}
	if _, ok := c.Volumes["/data"]; !ok || c.User != "65532:65532" || h.Test[0] != "CMD" {
		t.Errorf("%+v", c)
	}
}

// unpack writes the files of a layer into a folder, and returns those that belong to 65532.
func unpack(t *testing.T, layer []byte, to string) (own []string) {
	t.Helper()
	zipped, err := gzip.NewReader(bytes.NewReader(layer))
	if err != nil {
		t.Fatal(err)
	}
	files := tar.NewReader(zipped)
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return own
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid == 65532 && h.Gid == 65532 {
			own = append(own, h.Name)
		} else if h.Uid != 0 || h.Gid != 0 {
			t.Errorf("%s belongs to %d:%d", h.Name, h.Uid, h.Gid)
		}
		path := filepath.Join(to, filepath.Clean("/"+h.Name))
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, os.FileMode(h.Mode&0o777))
		} else {
			var content []byte
			if content, err = io.ReadAll(files); err == nil {
				err = os.WriteFile(path, content, os.FileMode(h.Mode&0o777))
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// inContainer is a command in the unpacked image: its root is read-only, /data is a folder outside
// of it, and the user is 65532, without rights over anything else. It needs no engine and no root.
func inContainer(ctx context.Context, folder, data string, env, words []string) *exec.Cmd {
	const script = `set -e
mount --bind "$1" "$1"; mount --bind "$2" "$1/data"; mount -o remount,bind,ro "$1"; root=$1; shift 2
exec unshare --user --map-user=65532 --map-group=65532 --root="$root" --wd=/data "$@"`
	args := append([]string{"--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", folder, data}, words...)
	command := exec.CommandContext(ctx, "unshare", args...)
	command.Env = append(slices.Clone(env), "PATH="+os.Getenv("PATH"))
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 30 * time.Second
	return command
}

func TestImageRuns(t *testing.T) {
	t.Parallel()
	folder, err := built()
	if err != nil {
		t.Fatal(err)
	}
	image, layer := imageFor(t, filepath.Join(folder, "image"), "amd64")
	files, data := t.TempDir(), t.TempDir()
	unpack(t, layer, files)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	env := append(slices.Clone(image.Config.Env), "CLERKSYNC_LISTEN="+address, "CLERKSYNC_OPERATOR_LISTEN=off")
	run := func(words ...string) (string, error) {
		out, err := inContainer(t.Context(), files, data, env, words).CombinedOutput()
		return string(out), err
	}
	healthcheck := image.Config.Healthcheck.Test[1:]
	if out, err := run(healthcheck...); err == nil || !strings.Contains(out, "does not serve") {
		t.Fatalf("before the start: %v, %s", err, out)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var logs bytes.Buffer
	server := inContainer(ctx, files, data, env, append(slices.Clone(image.Config.Entrypoint), image.Config.Cmd...))
	server.Stdout, server.Stderr = &logs, &logs
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	out, deadline := "", time.Now().Add(30*time.Second)
	for err = errors.New("not asked yet"); err != nil && time.Now().Before(deadline); {
		out, err = run(healthcheck...)
	}
	if err != nil || out != "alive\n" {
		stop()
		_ = server.Wait()
		t.Fatalf("%v, %s\n%s", err, out, &logs)
	}
	if out, err = run("/usr/bin/clerksync", "version", "--json"); err != nil || !strings.Contains(out, `"sqlite": "3.`) {
		t.Errorf("%v, %s", err, out)
	}
	if out, err = run("/usr/bin/clerksync", "backup", "/elsewhere.db"); err == nil || !strings.Contains(out, "read-only") {
		t.Errorf("a file outside of /data: %v, %s", err, out)
	}
	if _, err := os.Stat(filepath.Join(data, "clerksync.db")); err != nil {
		t.Error(err)
	}
	stop()
	_ = server.Wait()
	if !strings.Contains(logs.String(), "stopped") || server.ProcessState.ExitCode() != 130 && server.ProcessState.ExitCode() != 0 {
		t.Errorf("%s: %s", server.ProcessState, &logs)
	}
	if out, err = run(healthcheck...); err == nil || !strings.Contains(out, "connection refused") {
		t.Errorf("after the end: %v, %s", err, out)
	}
}
