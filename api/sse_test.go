package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/mirror"
)

// block is one block of a stream, between empty lines.
type block struct {
	comments []string
	event    string
	data     string
	hasData  bool
	id       string
	hasID    bool
	retry    time.Duration
}

// change returns the change of an event.
func (b *block) change() (c mirror.Change) {
	_ = json.Unmarshal([]byte(b.data), &c) // a test that looks at it finds it empty
	return c
}

// eventReader reads a stream as section 9.2.6 of the HTML standard says, and refuses what a parser
// would ignore: unknown fields, repeated ones, carriage returns, and a block that is not complete.
type eventReader struct {
	in     *bufio.Reader
	lastID string // the last event id, as an EventSource keeps it
}

func newEventReader(r io.Reader) *eventReader { return &eventReader{in: bufio.NewReader(r)} }

// next returns the next block. The error is io.EOF at the end of the stream.
func (e *eventReader) next() (b block, err error) {
	for started := false; ; started = true {
		line, err := e.in.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 && !started {
			return b, io.EOF
		}
		if err != nil {
			return b, fmt.Errorf("the stream ends in a block, after %q: %w", line, err)
		}
		line = line[:len(line)-1]
		if bytes.ContainsAny(line, "\r\x00") {
			return b, fmt.Errorf("a line has a control character: %q", line)
		}
		if len(line) == 0 {
			if !started {
				return b, errors.New("an empty block")
			}
			if b.hasID {
				e.lastID = b.id
			}
			return b, nil
		}
		if err := b.field(string(line)); err != nil {
			return b, err
		}
	}
}

// field reads one line.
func (b *block) field(line string) error {
	name, value, found := strings.Cut(line, ":")
	if !found {
		return fmt.Errorf("a field without a value: %q", line)
	}
	value = strings.TrimPrefix(value, " ")
	again := false
	switch name {
	case "":
		b.comments = append(b.comments, value)
	case "event":
		again, b.event = b.event != "", value
	case "data":
		again, b.data, b.hasData = b.hasData, value, true
	case "id":
		again, b.id, b.hasID = b.hasID, value, true
	case "retry":
		ms, err := strconv.Atoi(value)
		if err != nil || ms <= 0 {
			return fmt.Errorf("retry is %q", value)
		}
		again, b.retry = b.retry != 0, time.Duration(ms)*time.Millisecond
	default:
		return fmt.Errorf("an unknown field: %q", line)
	}
	if again {
		return fmt.Errorf("the field %s occurs twice in a block", name)
	}
	return nil
}

// nextEvent returns the next block that an EventSource dispatches.
func (e *eventReader) nextEvent() (block, error) {
	for {
		b, err := e.next()
		if err != nil || b.hasData {
			return b, err
		}
	}
}
