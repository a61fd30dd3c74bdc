# Reads `go test -v`: leaves out the lines of passed tests, counts, and fails if a test was skipped or none ran.
/^=== (RUN|PAUSE|CONT|NAME)/ { next }
/^ *--- PASS/ { passed++; next }
/^ *--- FAIL/ { failed++ }
/^ *--- SKIP/ { skipped++ }
/^PASS$/ { next }
{ print; fflush() }
END {
	printf "%d tests passed, %d failed, %d skipped\n", passed, failed, skipped
	exit skipped > 0 || passed == 0
}
