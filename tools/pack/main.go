// Command pack makes what a release has of a Linux binary without goreleaser and without a
// container engine: packages for Debian and RPM, as the section nfpms of .goreleaser.yaml describes
// them, and the container image. Run it in the root of the repository:
//
//	go -C tools/pack build -o ../../bin/pack .
//	bin/pack packages -binary bin/clerksync -version 1.2.3 -out dist
//	bin/pack image -amd64 bin/clerksync -version 1.2.3 -out dist/image
//
// The same binary, version and time make the same bytes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("name what to make: packages, image or proxy")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	version := flags.String("version", "", "semantic version, without v")
	out := flags.String("out", "", "folder of the result")
	seconds := flags.String("time", os.Getenv("SOURCE_DATE_EPOCH"), "time of all files, in seconds since 1970")
	switch args[0] {
	case "packages":
		binary := flags.String("binary", "", "the binary for Linux")
		arch := flags.String("arch", runtime.GOARCH, "amd64 or arm64")
		made, err := parse(flags, args[1:], seconds, version, out, binary)
		if err != nil {
			return err
		}
		return packages(packageOptions{Binary: *binary, Arch: *arch, Version: *version, Out: *out, Time: made})
	case "image":
		amd64 := flags.String("amd64", "", "the binary for linux/amd64")
		arm64 := flags.String("arm64", "", "the binary for linux/arm64")
		commit := flags.String("commit", "", "what it is built from")
		push := flags.String("push", "", "where to push the image, such as ghcr.io/clerksync/clerksync:1.2.3")
		made, err := parse(flags, args[1:], seconds, version, out)
		if err != nil {
			return err
		}
		return image(imageOptions{
			Binaries: map[string]string{"amd64": *amd64, "arm64": *arm64}, Version: *version, Commit: *commit, Out: *out, Push: *push, Time: made,
		})
	case "proxy":
		made, err := parse(flags, args[1:], seconds, version, out)
		if err != nil {
			return err
		}
		return proxy(*version, *out, made)
	}
	return fmt.Errorf("unknown: %s", args[0])
}

// parse parses flags and returns the time. All needed ones must have a value.
func parse(flags *flag.FlagSet, args []string, seconds *string, needed ...*string) (time.Time, error) {
	if err := flags.Parse(args); err != nil {
		return time.Time{}, err
	}
	for _, value := range needed {
		if *value == "" {
			return time.Time{}, errors.New("set -version, -out and the binary")
		}
	}
	if *seconds == "" {
		return time.Unix(0, 0).UTC(), nil
	}
	n, err := strconv.ParseInt(*seconds, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("-time: %w", err)
	}
	return time.Unix(n, 0).UTC(), nil
}
