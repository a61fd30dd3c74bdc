// Package sqlite opens SQLite files. The public package of the same name documents it.
package sqlite
