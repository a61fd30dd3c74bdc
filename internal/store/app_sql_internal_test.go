package store

import "testing"

func TestSQLOfTheApplicationIsChecked(t *testing.T) {
	t.Parallel()
	const both, lite, pg = "sqlite postgres", "sqlite", "postgres"
	for text, refusedBy := range map[string]string{
		"COMMIT":        both,
		"\n\t commit\n": both,
		"/**/COMMIT":    both,
		"/* a */ -- b\n /* c */ Commit And Chain": both,
		"--\r\nEND":                            both,
		"BEGIN IMMEDIATE":                      both,
		"ROLLBACK":                             both,
		"ROLLBACK TRANSACTION":                 both,
		"ROLLBACK PREPARED 'x'":                both,
		"PREPARE TRANSACTION 'x'":              both,
		"start  transaction":                   both,
		"SELECT 1;COMMIT":                      both,
		"SELECT ';' ; COMMIT":                  both,
		"SELECT 'it''s'; END":                  both,
		"SELECT \"a;\"; END":                   both,
		";COMMIT":                              both,
		"SELECT '\\'; COMMIT":                  both, // a backslash is nothing special
		"/* /* */ COMMIT":                      lite, // comments nest in Postgres
		"/* /* */ COMMIT */ */ COMMIT":         both, // a stray end of a comment is a fault of its own
		"/* /* */ */ COMMIT":                   both,
		"\ufeffCOMMIT":                         both,
		"SELECT [;COMMIT;]; SELECT 1":          pg,
		"SELECT `;COMMIT`":                     pg,
		"SELECT $$;COMMIT$$":                   lite,
		"SELECT $a$;COMMIT$a$ ; COMMIT":        both,
		"SELECT E'\\'; COMMIT'":                lite,
		"INSERT OR ROLLBACK INTO a VALUES (1)": lite,
		"update or rollback a set b = 1":       lite,
		"PRAGMA foreign_keys = 0":              lite,
		"ATTACH 'x' AS y":                      lite,
		"SELECT 1; -- x\rCOMMIT":               pg,   // a comment of Postgres ends there
		"SELECT a$$; COMMIT; --$$":             both, // a dollar can be a part of a word
		"SELECT a$b$ ; COMMIT; SELECT a$b$":    both,
		"SET search_path = app":                pg,
		"SET SESSION AUTHORIZATION x":          pg,
		"RESET ALL":                            pg,
		"DISCARD ALL":                          pg,
		"DEALLOCATE ALL":                       pg,

		"":                                           "",
		"-- only a comment":                          "",
		"SELECT 1":                                   "",
		"SELECT '; COMMIT'":                          "",
		"SELECT 'it''s; COMMIT'":                     "",
		"SELECT \"; COMMIT\" FROM a":                 "",
		"SAVEPOINT a":                                "",
		"RELEASE a":                                  "",
		"ROLLBACK TO a":                              "",
		"ROLLBACK TO SAVEPOINT a":                    "",
		"ROLLBACK TRANSACTION TO a":                  "",
		"ROLLBACK WORK TO a":                         "",
		"INSERT OR IGNORE INTO a VALUES (1)":         "",
		"PREPARE p AS SELECT 1":                      "",
		"SET LOCAL lock_timeout = 100":               "",
		"SET CONSTRAINTS ALL IMMEDIATE":              "",
		"DELETE FROM commits WHERE \"end\" = 1":      "",
		"SELECT begin FROM ranges":                   "",
		"INSERT INTO a VALUES ($1, $2)":              "",
		"SELECT a FROM b WHERE c OR rollback_at > 1": "",
	} {
		for _, engine := range []Engine{SQLite, Postgres} {
			refused := refusedBy == both || refusedBy == string(engine)
			if err := checkAppSQL(engine, text); (err != nil) != refused {
				t.Errorf("%s, %q: %v", engine, text, err)
			}
		}
	}
}

// Whatever the text is, the check ends, and what it refuses is refused behind white space, too.
func FuzzSQLOfTheApplication(f *testing.F) {
	for _, text := range []string{"COMMIT", "SELECT '", "/*", "$a$", "$", "[", "E'\\", "--", "a;b", "\ufeff"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, engine := range []Engine{SQLite, Postgres} {
			if err := checkAppSQL(engine, text); (err != nil) != (checkAppSQL(engine, " /* x */ ;"+text) != nil) {
				t.Errorf("%s, %q: %v", engine, text, err)
			}
			if checkAppSQL(engine, "COMMIT;"+text) == nil {
				t.Errorf("%s: COMMIT before %q passes", engine, text)
			}
		}
	})
}
