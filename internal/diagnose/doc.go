// Package diagnose has the checks of clerksync doctor: of the configuration, the database, the
// keys, the clock and the webhook route ([Subject]), and of what is stored ([Rows]). Package
// doctor runs and prints them.
package diagnose
