package config

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parseYAML reads the settings of a configuration file, and the lines that they are on, by
// environment name. Its faults name keys and lines and quote nothing else: the parser's own texts
// quote the file, which holds secrets.
func (l *loader) parseYAML(text string) (values map[string]string, lines map[string]int, err error) {
	root, err := yamlMapping(text)
	if err != nil {
		return nil, nil, err
	}
	var errs []error
	values, lines = map[string]string{}, map[string]int{}
	for i := 0; i < len(root.Content); i += 2 {
		key, node := root.Content[i], root.Content[i+1]
		name := strings.ToUpper(key.Value)
		value, err := l.yamlValue(name, node)
		switch {
		case key.Kind != yaml.ScalarNode || key.Value != strings.ToLower(name) || !l.known(name):
			err = l.unknownKey(key)
		case name == configName:
			err = valueError{
				fmt.Sprintf("names a configuration file on line %d", key.Line),
				"Remove the line; only --config and CLERKSYNC_CONFIG name the file.",
			}
		case lines[name] != 0:
			err = valueError{
				fmt.Sprintf("has the key %s on line %d and again on line %d", key.Value, lines[name], key.Line),
				"Keep one of the two.",
			}
		}
		if err != nil {
			errs = append(errs, err)
			// The value is unknown, which must not be taken for unset.
			l.faulty[l.settings[strings.TrimSuffix(name, fileSuffix)].Name] = true
			continue
		}
		lines[name] = key.Line
		if value == "" {
			l.noteEmpty(name, strings.ToLower(name)+" in "+l.config.File)
			continue
		}
		values[name] = value
	}
	return values, lines, errors.Join(errs...)
}

// yamlValue returns the text of a setting: a scalar as it is written (off stays off), null as an
// empty text, and a list with commas.
func (l *loader) yamlValue(name string, node *yaml.Node) (string, error) {
	items := []*yaml.Node{node}
	s, listable := l.settings[name]
	if listable = listable && s.list; listable && node.Kind == yaml.SequenceNode {
		items = node.Content
	}
	var texts []string
	for _, item := range items {
		switch {
		case item.Kind != yaml.ScalarNode || item.Style&yaml.TaggedStyle != 0 || item.Anchor != "":
			form := "Write plain text."
			if listable {
				form = "Write plain text or a list of plain texts."
			}
			return "", valueError{fmt.Sprintf("has a value of the wrong kind on line %d", item.Line), form}
		case item.ShortTag() == "!!null":
			texts = append(texts, "")
		default:
			texts = append(texts, item.Value)
		}
	}
	return strings.Join(texts, ","), nil
}

func (l *loader) unknownKey(key *yaml.Node) error {
	near, _ := l.nearest(strings.ToUpper(key.Value))
	what := fmt.Sprintf("has an unknown key on line %d", key.Line)
	if regexp.MustCompile(`^[A-Za-z_]{1,48}$`).MatchString(key.Value) { // no secret looks like this
		what += ", " + key.Value
	}
	return valueError{what, "The nearest known key is " + strings.ToLower(near) + "; keys are the environment names in lower case."}
}

// yamlMapping returns the mapping that text consists of. An empty text is an empty mapping.
func yamlMapping(text string) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(strings.NewReader(text))
	var document, more yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return &yaml.Node{}, nil
	} else if err != nil {
		return nil, notYAML(err)
	}
	if err := decoder.Decode(&more); err == nil {
		return nil, valueError{fmt.Sprintf("has a second document on line %d", more.Line), "Keep one document."}
	} else if !errors.Is(err, io.EOF) {
		return nil, notYAML(err)
	}
	root := document.Content[0]
	switch {
	case root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null":
		return &yaml.Node{}, nil
	case root.Kind != yaml.MappingNode:
		return nil, valueError{"is not a YAML mapping", "Write one `key: value` a line."}
	}
	return root, nil
}

func notYAML(err error) error {
	what := "is not valid YAML"
	if line := regexp.MustCompile(`line \d+`).FindString(err.Error()); line != "" {
		what += ", near " + line
	}
	return valueError{what, "Check colons, indentation and quotes: a text that starts with * & ! % @ or ` needs quotes."}
}
