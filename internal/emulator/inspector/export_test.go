package inspector

// Patterns returns the patterns of the route table, such as "GET /people/{id}".
func Patterns() (patterns []string) {
	for _, r := range routes() {
		patterns = append(patterns, r.pattern)
	}
	return patterns
}
