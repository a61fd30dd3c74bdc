package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// What packaging/container/Dockerfile says too; a test compares them.
const (
	user         = 65532
	certificates = "/etc/ssl/certs/ca-certificates.crt"
	source       = "https://github.com/clerksync/clerksync"
)

type imageOptions struct {
	Binaries             map[string]string // path by architecture; "" is left out
	Version, Commit, Out string
	Push                 string // where to, "" is nowhere
	Time                 time.Time
}

// image writes an image for each architecture as an OCI layout, and prints the digest of its index.
func image(o imageOptions) error {
	var index v1.ImageIndex = empty.Index
	index = mutate.IndexMediaType(index, types.OCIImageIndex)
	for _, arch := range []string{"amd64", "arm64"} {
		if o.Binaries[arch] == "" {
			continue
		}
		one, err := imageOf(arch, o)
		if err != nil {
			return fmt.Errorf("%s: %w", arch, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: one, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	if manifest, err := index.IndexManifest(); err != nil || len(manifest.Manifests) == 0 {
		return errors.Join(errors.New("name a binary: -amd64 or -arm64"), err)
	}
	if err := os.RemoveAll(o.Out); err != nil {
		return err
	}
	if _, err := layout.Write(o.Out, index); err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	fmt.Println(digest)
	if o.Push == "" {
		return nil
	}
	to, err := name.ParseReference(o.Push)
	if err != nil {
		return err
	}
	return remote.WriteIndex(to, index, remote.WithAuthFromKeychain(authn.DefaultKeychain))
}

// imageOf returns the image for one architecture: the files in one layer, and how they are run.
func imageOf(arch string, o imageOptions) (v1.Image, error) {
	files, err := layer(o.Binaries[arch], o.Time)
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.Append(base, mutate.Addendum{
		Layer: files, MediaType: types.OCILayer, History: v1.History{CreatedBy: "tools/pack", Created: v1.Time{Time: o.Time}},
	})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", arch, v1.Time{Time: o.Time}
	config.Config = v1.Config{
		User:       fmt.Sprintf("%d:%d", user, user),
		Entrypoint: []string{"/usr/bin/clerksync"},
		Cmd:        []string{"serve"},
		Env: []string{
			"PATH=/usr/bin", "SSL_CERT_FILE=" + certificates, "DATABASE_URL=sqlite:/data/clerksync.db",
		},
		WorkingDir:   "/data",
		Volumes:      map[string]struct{}{"/data": {}},
		ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		Healthcheck: &v1.HealthConfig{ // of Docker; Kubernetes has probes of its own
			Test: []string{"CMD", "/usr/bin/clerksync", "healthcheck"}, Interval: 10 * time.Second, Timeout: 5 * time.Second, StartPeriod: 30 * time.Second, Retries: 3,
		},
		Labels: map[string]string{
			"org.opencontainers.image.title": "clerksync", "org.opencontainers.image.source": source, "org.opencontainers.image.version": o.Version,
			"org.opencontainers.image.revision": o.Commit, "org.opencontainers.image.licenses": "Apache-2.0",
			"org.opencontainers.image.created":     o.Time.Format(time.RFC3339),
			"org.opencontainers.image.description": "Copy of Clerk's users, sessions and organizations in your own database",
		},
	}
	return mutate.ConfigFile(image, config)
}

// layer returns all files of the image. Only /data belongs to the user, and only it can be written.
func layer(binary string, made time.Time) (v1.Layer, error) {
	program, err := os.ReadFile(binary) //nolint:gosec // what the caller packs
	if err != nil {
		return nil, err
	}
	roots, err := os.ReadFile(certificates)
	if err != nil {
		return nil, fmt.Errorf("install ca-certificates: %w", err)
	}
	license, err := os.ReadFile("LICENSE")
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	files := tar.NewWriter(&text)
	for _, f := range []struct {
		name    string
		mode    int64
		owner   int
		content []byte // nil is a folder
	}{
		{"data/", 0o700, user, nil},
		{"etc/", 0o755, 0, nil},
		{"etc/group", 0o644, 0, []byte("root:x:0:\nnonroot:x:65532:\n")},
		{"etc/passwd", 0o644, 0, []byte("root:x:0:0:root:/:/nologin\nnonroot:x:65532:65532:nonroot:/data:/nologin\n")},
		{"etc/ssl/", 0o755, 0, nil},
		{"etc/ssl/certs/", 0o755, 0, nil},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, 0, roots},
		{"tmp/", 0o1777, 0, nil},
		{"usr/", 0o755, 0, nil},
		{"usr/bin/", 0o755, 0, nil},
		{"usr/bin/clerksync", 0o755, 0, program},
		{"usr/share/", 0o755, 0, nil},
		{"usr/share/doc/", 0o755, 0, nil},
		{"usr/share/doc/clerksync/", 0o755, 0, nil},
		{"usr/share/doc/clerksync/copyright", 0o644, 0, license},
	} {
		kind := byte(tar.TypeReg)
		if f.content == nil {
			kind = tar.TypeDir
		}
		err = errors.Join(err, files.WriteHeader(&tar.Header{
			Typeflag: kind, Name: f.name, Mode: f.mode, Uid: f.owner, Gid: f.owner, Size: int64(len(f.content)), ModTime: made, Format: tar.FormatPAX,
		}))
		_, wrote := files.Write(f.content)
		err = errors.Join(err, wrote)
	}
	if err = errors.Join(err, files.Close()); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text.Bytes())), nil },
		tarball.WithCompressionLevel(gzip.BestCompression), tarball.WithMediaType(types.OCILayer))
}
