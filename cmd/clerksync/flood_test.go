package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync/webhook"
)

const (
	floodConnections = 1000
	floodBody        = 1 << 20
	floodMemory      = 150 << 10 // KiB that the process may use at most
)

// A flood of large unsigned bodies costs little memory, and real deliveries are answered in the
// middle of it.
func TestAFloodOfUnsignedBodiesTakesLittleMemory(t *testing.T) {
	binary := build(t)
	forged := func(length string) string {
		return fmt.Sprintf("Svix-Id: msg_x\r\nSvix-Timestamp: %d\r\nSvix-Signature: v1,%s=\r\n%s\r\n",
			time.Now().Unix(), strings.Repeat("A", 43), length)
	}
	length := fmt.Sprintf("Content-Length: %d", floodBody)
	for name, headers := range map[string]string{
		"without a signature":        length + "\r\n",
		"with a forged signature":    forged(length),
		"forged, of unknown length":  forged("Transfer-Encoding: chunked"),
		"unsigned, and 100-continue": length + "\r\nExpect: 100-continue\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			cmd, url := serve(t, binary, "sqlite:"+filepath.Join(t.TempDir(), "clerk.db"))
			defer func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			}()
			f := &flood{address: strings.TrimPrefix(url, "http://"), headers: headers, chunked: strings.Contains(headers, "chunked")}
			defer f.close()
			f.begin(t)
			client := &http.Client{Timeout: time.Minute}
			signer, err := webhook.NewSigner(secret)
			if err != nil {
				t.Fatal(err)
			}
			for n := range 20 {
				if status, err := press(client, signer, url, int64(n)); err != nil || status != http.StatusOK {
					t.Errorf("a real delivery during the flood: %d, %v", status, err)
				}
			}
			f.end()
			memory := peak(cmd.Process.Pid)
			t.Logf("at most %d MiB; answers by status: %v", memory>>10, f.statuses())
			if memory > floodMemory { // 0 where the system does not tell
				t.Errorf("the flood took %d MiB, want at most %d", memory>>10, floodMemory>>10)
			}
			if f.accepted.Load() > 0 {
				t.Errorf("%d forged deliveries were accepted", f.accepted.Load())
			}
		})
	}
}

// flood is a thousand connections that each send a large body, but for its last byte until end is
// called.
type flood struct {
	address, headers string
	chunked          bool

	mu       sync.Mutex
	conns    []net.Conn
	answers  map[int]int
	accepted atomic.Int64
}

func (f *flood) begin(t *testing.T) {
	t.Helper()
	f.answers = map[int]int{}
	request := "POST /api/webhooks/clerk HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + f.headers + "\r\n"
	body := bytes.Repeat([]byte("x"), floodBody-1)
	if f.chunked {
		request += fmt.Sprintf("%x\r\n", floodBody)
	}
	var senders sync.WaitGroup
	for range floodConnections {
		senders.Go(func() {
			conn, err := net.DialTimeout("tcp", f.address, 10*time.Second)
			if err != nil {
				return
			}
			f.mu.Lock()
			f.conns = append(f.conns, conn)
			f.mu.Unlock()
			_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
			if _, err := conn.Write([]byte(request)); err == nil {
				_, _ = conn.Write(body) // fails where the server has refused already
			}
		})
	}
	senders.Wait()
}

// end sends the last bytes and reads the answers.
func (f *flood) end() {
	var readers sync.WaitGroup
	for _, conn := range f.conns {
		readers.Go(func() {
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			_, _ = conn.Write([]byte("x\r\n0\r\n\r\n"))
			status := 0 // reset
			if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
				status = response.StatusCode
				_ = response.Body.Close()
			}
			if status == http.StatusOK {
				f.accepted.Add(1)
			}
			f.mu.Lock()
			f.answers[status]++
			f.mu.Unlock()
		})
	}
	readers.Wait()
}

func (f *flood) statuses() map[int]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.answers
}

func (f *flood) close() {
	for _, conn := range f.conns {
		_ = conn.Close()
	}
}
