package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/clerksync/clerksync/forwardauth"
)

// proxyKinds returns the kinds of proxies that CLERKSYNC_PROXY can name.
func proxyKinds() (kinds []string) {
	for _, kind := range forwardauth.Proxies() {
		kinds = append(kinds, string(kind))
	}
	return kinds
}

// parsePolicy checks that the text is a YAML mapping. Its rules are checked later, with the role
// ladder.
func parsePolicy(text string) (string, error) {
	root, err := yamlMapping(text)
	if err == nil && len(root.Content) == 0 {
		err = errors.New("is empty")
	}
	return text, err
}

// buildPolicy reads a policy from YAML text.
func buildPolicy(text string) (*forwardauth.Policy, error) {
	root, err := yamlMapping(text)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	if err := writeJSON(&b, root, 0); err != nil {
		return nil, err
	}
	policy, err := forwardauth.ParsePolicy([]byte(b.String()))
	return policy, policyFaults(err)
}

// policyFaults returns the faults of a policy in the form that the loader reports.
func policyFaults(err error) error {
	if err == nil {
		return nil
	}
	var faults []error
	for _, err := range split(err) {
		e := valueError{what: err.Error()}
		if fault, ok := errors.AsType[*forwardauth.PolicyError](err); ok {
			e.remedy = fault.Remedy
		}
		faults = append(faults, e)
	}
	return errors.Join(faults...)
}

// writeJSON turns a plain subset of YAML into JSON: mappings with text keys, lists, texts, whole
// numbers, true, false and null. It refuses anchors, aliases, merge keys, tags and other kinds, so
// that the text means what it seems to mean and never grows.
func writeJSON(b *strings.Builder, n *yaml.Node, depth int) error {
	const maxDepth = 40 // beyond what any rule needs
	switch {
	case depth > maxDepth:
		return valueError{fmt.Sprintf("is nested too deeply on line %d", n.Line), "Use fewer levels of any and all."}
	case n.Kind == yaml.AliasNode || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0:
		return valueError{fmt.Sprintf("has an anchor, alias or tag on line %d", n.Line), "Write the value out."}
	case n.Kind == yaml.MappingNode:
		return writeMapping(b, n, depth)
	case n.Kind == yaml.SequenceNode:
		b.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := writeJSON(b, item, depth+1); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	}
	return writeScalar(b, n)
}

func writeScalar(b *strings.Builder, n *yaml.Node) error {
	switch n.ShortTag() {
	case "!!str":
		text, err := json.Marshal(n.Value)
		b.Write(text)
		return err
	case "!!int":
		number, err := strconv.ParseInt(n.Value, 10, 32)
		if err != nil {
			return valueError{fmt.Sprintf("has a number in an unusual form on line %d", n.Line), "Write a plain number, or text in quotes."}
		}
		b.WriteString(strconv.FormatInt(number, 10))
		return nil
	case "!!bool":
		b.WriteString(strings.ToLower(n.Value))
		return nil
	case "!!null":
		b.WriteString("null")
		return nil
	default:
		return valueError{fmt.Sprintf("has a value of the wrong kind on line %d", n.Line), "Put text in quotes."}
	}
}

func writeMapping(b *strings.Builder, n *yaml.Node, depth int) error {
	lines := map[string]int{}
	b.WriteByte('{')
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" || key.Anchor != "" {
			return valueError{fmt.Sprintf("has a key that is not text on line %d", key.Line), "Write `key: value`."}
		}
		if line := lines[key.Value]; line != 0 {
			return valueError{fmt.Sprintf("has a key on line %d that is also on line %d", key.Line, line), "Keep one of the two."}
		}
		lines[key.Value] = key.Line
		if i > 0 {
			b.WriteByte(',')
		}
		if err := writeScalar(b, key); err != nil {
			return err
		}
		b.WriteByte(':')
		if err := writeJSON(b, value, depth+1); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}
