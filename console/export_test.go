package console

// Patterns returns the patterns of the route table, such as "GET /users/{id}".
func Patterns() (patterns []string) {
	for _, r := range (&handler{}).routes() {
		patterns = append(patterns, r.pattern)
	}
	return patterns
}
