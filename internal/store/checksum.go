package store

import (
	"context"
	"database/sql"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
)

// A row's checksum covers its columns as clerksync wrote them. Anything else that changes a column,
// such as an operator's UPDATE, leaves the old checksum, so a walk notices the change without
// deriving the columns again.
const checksumColumn = "sync_checksum"

// sealedFlags are the sync_ columns that the checksum covers: they decide whether the row is
// visible and what may still change it. A walk compares the other sync_ columns itself, or changes
// them without saving the row.
var sealedFlags = []string{"sync_hidden", "sync_hard", "sync_terminal"}

func sealedColumns(columns []column) (sealed []int) {
	for i, c := range columns {
		if !strings.HasPrefix(c.name, "sync_") || slices.Contains(sealedFlags, c.name) {
			sealed = append(sealed, i)
		}
	}
	return sealed
}

// The separator of values, and the mark for NULL.
const (
	unitSeparator = "\x1f"
	nullMark      = "\x1e"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum returns the checksum of the values of a row, one for each column.
func (t *table) checksum(values []any) int64 {
	buffer := checksumBuffers.Get().(*[]byte)
	defer checksumBuffers.Put(buffer)
	b := (*buffer)[:0]
	for i, c := range t.sealed {
		if i > 0 {
			b = append(b, unitSeparator...)
		}
		switch v := values[c].(type) {
		case string:
			b = append(b, v...)
		case int64:
			b = strconv.AppendInt(b, v, 10)
		default:
			b = append(b, nullMark...)
		}
	}
	*buffer = b
	return int64(crc32.Checksum(b, castagnoli))
}

var checksumBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 8<<10); return &b }}

// holds reports whether sum is the checksum of the text of a row.
func holds(text []byte, sum int64) bool { return int64(crc32.Checksum(text, castagnoli)) == sum }

// sealedText returns the SQL expression of the text that the checksum covers.
func (t *table) sealedText(e Engine) string {
	values := make([]string, len(t.sealed))
	for i, c := range t.sealed {
		value := t.columns[c].name
		if t.columns[c].typ != textColumn && e == Postgres {
			value += "::text"
		}
		values[i] = "COALESCE(" + value + ", '" + nullMark + "')"
	}
	return fmt.Sprintf("concat_ws('%s', %s)", unitSeparator, strings.Join(values, ", "))
}

// selectDigests selects what a page of a list is compared with, the text that the checksum covers,
// and the checksum.
func selectDigests(t *table, e Engine) string {
	facts := ""
	if t.kind == clerk.KindUser {
		facts = "COALESCE(last_login_at, 0), COALESCE(last_active_at, 0), sync_banned_at, deprovisioned, "
	}
	return fmt.Sprintf("SELECT %s, sync_digest, sync_revision, sync_rank, sync_hidden, %s%s, %s FROM %s WHERE ",
		t.key(), facts, t.sealedText(e), checksumColumn, t.name)
}

// RowDigest is the part of a row that a page of one of Clerk's lists is compared with.
type RowDigest struct {
	Digest        string
	Revision      int
	Rank          row.Rank
	Hidden        bool
	SignedInAt    clerk.Time
	ActiveAt      clerk.Time
	BannedAt      clerk.Time
	Deprovisioned bool
	Intact        bool // its columns are as clerksync has written them
}

// RowDigests loads the digests of rows by id, of those that exist. It also reads their bodies to
// check the checksums.
func (tx *Tx) RowDigests(_ context.Context, kind clerk.Kind, ids []string) (map[string]RowDigest, error) {
	t := tables[kind]
	found := make(map[string]RowDigest, len(ids))
	var id string
	var s RowDigest
	var text sql.RawBytes // which the driver lends, so that no body is copied to be kept
	var sum int64
	into := []any{&id, &s.Digest, &s.Revision, &s.Rank, (*boolean)(&s.Hidden)}
	if kind == clerk.KindUser {
		into = append(into, &s.SignedInAt, &s.ActiveAt, &s.BannedAt, (*boolean)(&s.Deprovisioned))
	}
	into = append(into, &text, &sum)
	err := tx.load(t.selectDigests[tx.db.engine], t.key(), ids, func(r Row) error {
		err := r.Scan(into...)
		s.Intact = holds(text, sum)
		found[id] = s
		return err
	})
	return found, err
}

// Altered returns the names of the columns of a stored row that differ from what clerksync derives
// from want. It skips the columns in except, and the body: the caller compares that by its digest.
func (tx *Tx) Altered(ctx context.Context, want *row.Row, except ...string) (names []string, err error) {
	t := tables[want.Kind]
	ladder := tx.Settings().Roles()
	var columns []column
	var selected []string
	for _, i := range t.sealed {
		if c := t.columns[i]; c.name != "raw" && !slices.Contains(except, c.name) {
			columns, selected = append(columns, c), append(selected, c.name)
		}
	}
	rows, err := tx.query(ctx, "SELECT "+strings.Join(selected, ", ")+" FROM "+t.name+" WHERE "+t.key()+" = $1", want.ID)
	stored, err := exactlyOne(scanAll(rows, err, func(r Row) ([]sql.NullString, error) {
		values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		return values, r.Scan(into...)
	}))
	if err != nil {
		return nil, err
	}
	for i, c := range columns {
		if stored[i] != textOfValue(c.value(want, ladder)) {
			names = append(names, c.name)
		}
	}
	return names, nil
}

// textOfValue returns a column's value as the database writes it.
func textOfValue(v any) sql.NullString {
	switch v := v.(type) {
	case string:
		return sql.NullString{String: v, Valid: true}
	case int64:
		return sql.NullString{String: strconv.FormatInt(v, 10), Valid: true}
	}
	return sql.NullString{}
}
