package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
	"go.yaml.in/yaml/v3"
)

type packageOptions struct {
	Binary, Arch, Version, Out string
	Time                       time.Time
}

// packages writes the packages that .goreleaser.yaml describes and prints their paths.
func packages(o packageOptions) error {
	text, err := os.ReadFile(".goreleaser.yaml")
	if err != nil {
		return err
	}
	var config struct {
		NFPMs []map[string]any `yaml:"nfpms"`
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		return err
	}
	if len(config.NFPMs) != 1 {
		return errors.New(".goreleaser.yaml: nfpms needs one entry")
	}
	if err := os.MkdirAll(o.Out, 0o755); err != nil { //nolint:gosec // packages are for everyone
		return err
	}
	formats, _ := config.NFPMs[0]["formats"].([]any)
	for _, format := range formats {
		path, err := writePackage(config.NFPMs[0], fmt.Sprint(format), o)
		if err != nil {
			return fmt.Errorf("%v: %w", format, err)
		}
		fmt.Println(path)
	}
	return nil
}

// writePackage writes one package. The settings of goreleaser's own are taken out; all others are
// those of nfpm.
func writePackage(settings map[string]any, format string, o packageOptions) (string, error) {
	own := map[string]any{"name": settings["package_name"], "arch": o.Arch, "platform": "linux", "version": o.Version, "version_schema": "semver"}
	bindir := fmt.Sprint(settings["bindir"])
	for name, value := range settings {
		switch name {
		case "id", "package_name", "formats", "file_name_template", "bindir", "mtime":
		default:
			own[name] = value
		}
	}
	text, err := yaml.Marshal(own)
	if err != nil {
		return "", err
	}
	config, err := nfpm.Parse(bytes.NewReader(text))
	if err != nil {
		return "", err
	}
	config.MTime = o.Time
	config.Contents = append(config.Contents, &files.Content{
		Source: o.Binary, Destination: filepath.Join(bindir, "clerksync"), FileInfo: &files.ContentFileInfo{Mode: 0o755, MTime: o.Time},
	})
	info, err := config.Get(format)
	if err != nil {
		return "", err
	}
	packager, err := nfpm.Get(format)
	if err != nil {
		return "", err
	}
	info = nfpm.WithDefaults(info)
	info.Target = filepath.Join(o.Out, packager.ConventionalFileName(info))
	var made bytes.Buffer
	if err := packager.Package(info, &made); err != nil {
		return "", err
	}
	return info.Target, os.WriteFile(info.Target, made.Bytes(), 0o644) //nolint:gosec // packages are for everyone
}
