// Package doctor runs checks and tells what they found, for people and for machines. What is checked is data that others
// hand in: it knows nothing of Clerk or of databases.
package doctor
