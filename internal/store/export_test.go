package store

// Statements returns the texts of the statements that an SQLite database has prepared for reading.
func (db *DB) Statements() (texts []string) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	for key := range db.stmts {
		if key.pool == db.read {
			texts = append(texts, key.text)
		}
	}
	return texts
}
