//go:build unix

package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// lock makes this process the only one that keeps its state in a file, until release is called or
// the process ends. The file next to it, which names the process, stays.
func lock(path string) (release func(), err error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // next to the file of --state
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder := make([]byte, 20)
		n, _ := f.Read(holder)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = fmt.Errorf("another emulator (process %s) keeps its state in %s. End that one, or use another file", strings.TrimSpace(string(holder[:n])), path)
		}
		return nil, errors.Join(err, f.Close())
	}
	err = f.Truncate(0)
	if _, wrote := fmt.Fprintf(f, "%d\n", os.Getpid()); err != nil || wrote != nil {
		return nil, errors.Join(err, wrote, f.Close())
	}
	return func() { _ = f.Close() }, nil
}
