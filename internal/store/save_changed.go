package store

import (
	"bytes"
	"context"
	"io/fs"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/internal/row"
)

// An UPDATE of SQLite writes the entry of a row in each index that has a column which the statement
// sets, although the value stays as it is. Each entry is on another page, and each page that was
// written goes to the log. Most events change no such column, or one. So SQLite saves a row that
// the transaction has loaded by an UPDATE of the columns that no index has, and by another one for
// each indexed column that differs. Postgres compares the values by itself.

// maxSingle is the number of changed indexed columns above which one statement saves all columns.
const maxSingle = 3

// update is an UPDATE of some columns of a row.
type update struct {
	text    string
	columns []int // by their place in the table
}

func (t *table) updateOf(columns []int) update {
	set := make([]string, len(columns))
	for i, c := range columns {
		name := t.columns[c].name
		set[i] = name + " = ?"
		if name == verifiedAt {
			set[i] = name + " = COALESCE(?, " + name + ")"
		}
	}
	return update{"UPDATE " + t.name + " SET " + strings.Join(set, ", ") + " WHERE " + t.key() + " = ?", columns}
}

// args returns the arguments of the update: the values of its columns, then the key.
func (u update) args(values []any, id string) []any {
	args := make([]any, 0, len(u.columns)+1)
	for _, c := range u.columns {
		args = append(args, values[c])
	}
	return append(args, id)
}

// splitUpdates makes the updates of a table: of all columns that no index has, and of each of the
// others.
func (t *table) splitUpdates() {
	inIndexes := indexedWords[t.name]
	var rest []int
	for i, c := range t.columns {
		switch {
		case c.name == t.key() || c.name == "id":
		case inIndexes[c.name]:
			t.indexed = append(t.indexed, i)
			t.single = append(t.single, t.updateOf([]int{i}))
		default:
			rest = append(rest, i)
		}
	}
	t.unindexed = t.updateOf(rest)
}

// indexedWords holds the words of the definitions of each table's indexes. The columns that they
// have are among them.
var indexedWords = wordsOfIndexes()

func wordsOfIndexes() map[string]map[string]bool {
	words := map[string]map[string]bool{}
	names, _ := fs.Glob(shipped, "*.sql") // the pattern is well-formed
	for _, name := range names {
		source, err := fs.ReadFile(shipped, name)
		if err != nil {
			panic(err) // it is embedded
		}
		for statement := range strings.SplitSeq(string(source), ";\n") {
			_, definition, found := strings.Cut(statement, "CREATE INDEX ")
			if !found {
				continue
			}
			_, definition, _ = strings.Cut(definition, " ON ")
			list := strings.FieldsFunc(definition, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') })
			table := list[0]
			if words[table] == nil {
				words[table] = map[string]bool{}
			}
			for _, w := range list[1:] {
				words[table][w] = true
			}
		}
	}
	return words
}

// noteStored notes the indexed values of a row that was loaded. text is what the checksum covers.
// Values that the text does not tell apart, or lacks, are those of the row.
func (tx *Tx) noteStored(t *table, r *row.Row, text []byte) {
	fields := bytes.Split(text, []byte(unitSeparator))
	if len(fields) != len(t.sealed) {
		return // a value has the separator
	}
	stored := make([]string, len(t.indexed))
	for i, c := range t.indexed {
		if at, found := slices.BinarySearch(t.sealed, c); found {
			stored[i] = string(fields[at])
		} else {
			stored[i] = sealedValue(t.columns[c].value(r, nil))
		}
	}
	if tx.stored == nil {
		tx.stored = map[row.Key][]string{}
	}
	tx.stored[r.Key] = stored
}

// sealedValue returns a value as the checksum's text has it.
func sealedValue(v any) string {
	if text := textOfValue(v); text.Valid {
		return text.String
	}
	return nullMark
}

// saveTable saves rows of a table. values returns the values of row i.
func (tx *Tx) saveTable(ctx context.Context, t *table, list []*row.Row, values func(i int) []any) error {
	if tx.db.engine == Postgres {
		return tx.save(ctx, t.upsert, len(list), values)
	}
	for i, r := range list {
		if err := tx.saveChanged(ctx, t, r.Key, values(i)); err != nil {
			return err
		}
	}
	return nil
}

// saveChanged saves the values of a row on SQLite.
func (tx *Tx) saveChanged(ctx context.Context, t *table, key row.Key, values []any) error {
	tx.rows++
	stored, loaded := tx.stored[key]
	delete(tx.stored, key)
	var changed []int
	for i := range stored {
		if stored[i] != sealedValue(values[t.indexed[i]]) {
			changed = append(changed, i)
		}
	}
	if !loaded || len(changed) > maxSingle {
		return tx.exec(ctx, t.upsert.texts[SQLite], values...)
	}
	for _, i := range changed {
		if err := tx.exec(ctx, t.single[i].text, t.single[i].args(values, key.ID)...); err != nil {
			return err
		}
	}
	return tx.exec(ctx, t.unindexed.text, t.unindexed.args(values, key.ID)...)
}
