// Package driver is the handle behind sqlite.DB and postgres.DB. Its packages sqlite and postgres
// open databases; the public packages of the same names wrap them, and tests of internal packages
// use them directly.
package driver
