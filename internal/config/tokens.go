package config

import (
	"errors"
	"fmt"
	"time"

	"github.com/clerksync/clerksync/auth"
)

// parseIssuer brings the issuer into the form in which tokens have it. What is another URL than the issuer's is refused
// with the right value: with it every token would be.
func parseIssuer(text string) (string, error) {
	canonical, err := auth.CanonicalIssuer(text)
	if wrong, ok := errors.AsType[*auth.IssuerError](err); ok {
		return "", valueError{wrong.Problem, wrong.Remedy}
	}
	if err == nil {
		_, err = webURL(canonical)
	}
	return canonical, err
}

func parseBool(text string) (bool, error) {
	word, err := oneOf("false", "true")(text)
	return word == "true", err
}

func durationBetween(least, most time.Duration) func(string) (time.Duration, error) {
	return func(text string) (time.Duration, error) {
		d, err := durationFrom(-1 << 62)(text)
		if err == nil && (d < least || d > most) {
			err = fmt.Errorf("is not between %s and %s", inSeconds(least), inSeconds(most))
		}
		return d, err
	}
}

func inSeconds(d time.Duration) string { return fmt.Sprintf("%ds", d/time.Second) }
