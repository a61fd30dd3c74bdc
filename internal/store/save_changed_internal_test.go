package store

import (
	"database/sql"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite"
)

// The update of the columns without an index writes to no index, and that of an indexed column to
// few of them.
func TestUpdatesWriteToNoOtherIndex(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	schema, err := Schema(SQLite)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), schema); err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if n := entries(t, db, table.unindexed); n != 0 {
			t.Errorf("%s writes to %d indexes", table.unindexed.text, n)
		}
		for _, u := range table.single {
			if n := entries(t, db, u); n < 1 || n > 4 {
				t.Errorf("%s writes to %d indexes", u.text, n)
			}
		}
		if len(table.indexed)+len(table.unindexed.columns) < len(table.columns)-2 {
			t.Errorf("%s: not all columns are saved", table.name)
		}
	}
}

// entries returns how many indexes an update writes an entry to.
func entries(t *testing.T, db *sql.DB, u update) (n int) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "EXPLAIN "+u.text, make([]any, len(u.columns)+1)...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var op string
		var skip any
		if err := rows.Scan(&skip, &op, &skip, &skip, &skip, &skip, &skip, &skip); err != nil {
			t.Fatal(err)
		}
		if op == "IdxInsert" {
			n++
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}
