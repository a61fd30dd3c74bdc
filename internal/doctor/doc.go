// Package doctor runs checks and prints what they found, for people and for machines. Callers
// supply the checks: it knows nothing of Clerk or of databases.
package doctor
