package cli

import (
	_ "embed"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help returns the text below the description.
func (completionCommand) Help() string {
	return `Examples:

    source <(clerksync completion bash)                                       # in ~/.bashrc
    source <(clerksync completion zsh)                                        # in ~/.zshrc, after compinit
    clerksync completion fish > ~/.config/fish/completions/clerksync.fish

The script asks clerksync for the words that can come next, so that it stays right after an update.`
}

var (
	//go:embed completion/clerksync.bash
	bashCompletion string
	//go:embed completion/clerksync.zsh
	zshCompletion string
	//go:embed completion/clerksync.fish
	fishCompletion string
)

// Run prints the script for a shell.
func (c completionCommand) Run(p *process) error {
	_, err := io.WriteString(p.stdout, map[string]string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[c.Shell])
	return err
}

// completeCommand is what the scripts of shells call.
type completeCommand struct {
	Words []string `arg:"" optional:"" passthrough:"all"`
}

// Run prints what the last word can become: a word, a tab and what it means, in each line. A line
// ":files" means that it is the name of a file.
func (c completeCommand) Run(p *process, k *kong.Context) error {
	for _, one := range completions(k.Model.Node, c.Words) {
		if _, err := fmt.Fprintln(p.stdout, strings.TrimRight(one.word+"\t"+firstLine(one.help), "\t")); err != nil {
			return err
		}
	}
	return nil
}

// completion is a word that can come next, and what it means.
type completion struct{ word, help string }

// onlyFiles means that the next word is the name of a file.
const onlyFiles = ":files"

// completions returns what the last of some words can become.
func completions(node *kong.Node, words []string) []completion {
	if len(words) == 0 {
		words = []string{""}
	}
	words, current := plural(words[:len(words)-1]), words[len(words)-1]
	var pending *kong.Flag // whose value comes next
	used, arguments := map[string]bool{}, 0
	for _, word := range words {
		name, value, assigned := strings.Cut(word, "=")
		switch {
		case word == "=": // bash makes it a word
		case pending != nil:
			pending = nil
		case strings.HasPrefix(word, "--"):
			flag := flagOf(node, strings.TrimPrefix(name, "--"))
			used[strings.TrimPrefix(name, "--")] = flag == nil || !flag.IsCumulative()
			if flag != nil && !flag.IsBool() && (!assigned || value == "") {
				pending = flag
			}
		default:
			if child := childOf(node, word); child != nil && arguments == 0 {
				node = child
			} else {
				arguments++
			}
		}
	}
	name, value, assigned := strings.Cut(current, "=")
	switch flag := flagOf(node, strings.TrimPrefix(name, "--")); {
	case pending != nil:
		return beginning(valuesOf(pending.Value, ""), strings.TrimPrefix(current, "="))
	case assigned && flag != nil && strings.HasPrefix(current, "--"):
		return beginning(valuesOf(flag.Value, name+"="), name+"="+value)
	case strings.HasPrefix(current, "-"):
		return beginning(flagsOf(node, used), current)
	}
	return beginning(wordsOf(node, arguments), current)
}

func beginning(list []completion, start string) []completion {
	return slices.DeleteFunc(list, func(c completion) bool { return c.word != onlyFiles && !strings.HasPrefix(c.word, start) })
}

// wordsOf returns the commands of a group, or what an argument of a command can be.
func wordsOf(node *kong.Node, arguments int) (list []completion) {
	if arguments == 0 {
		for _, child := range node.Children {
			if !child.Hidden {
				list = append(list, completion{child.Name, child.Help})
			}
		}
	}
	if arguments < len(node.Positional) {
		list = append(list, valuesOf(node.Positional[arguments], "")...)
	}
	return list
}

// flagsOf returns the flags of a command that are not used yet.
func flagsOf(node *kong.Node, used map[string]bool) (list []completion) {
	for _, group := range withDefault(node).AllFlags(true) {
		for _, flag := range group {
			if !used[flag.Name] {
				list = append(list, completion{"--" + flag.Name, flag.Help})
			}
		}
	}
	return list
}

// withDefault returns the command that runs if no further one is named.
func withDefault(node *kong.Node) *kong.Node {
	if node.DefaultCmd != nil {
		return node.DefaultCmd
	}
	return node
}

func flagOf(node *kong.Node, name string) *kong.Flag {
	for _, group := range withDefault(node).AllFlags(true) {
		if i := slices.IndexFunc(group, func(f *kong.Flag) bool { return f.Name == name }); i >= 0 {
			return group[i]
		}
	}
	return nil
}

func childOf(node *kong.Node, name string) *kong.Node {
	if i := slices.IndexFunc(node.Children, func(c *kong.Node) bool { return c.Name == name }); i >= 0 {
		return node.Children[i]
	}
	return nil
}

// valuesOf returns what the value of a flag or argument can be, each after a prefix.
func valuesOf(v *kong.Value, prefix string) (list []completion) {
	var words []string
	switch {
	case v.Enum != "":
		words = v.EnumSlice()
	case isOf[kindFlag](v):
		words = kindWords()
	case v.Flag != nil && slices.Contains([]string{"FILE", "FOLDER"}, v.Flag.PlaceHolder):
		return []completion{{word: onlyFiles}}
	}
	for _, word := range words {
		if word != "" {
			list = append(list, completion{word: prefix + word})
		}
	}
	return list
}

// isOf reports whether values have a type, or are a list of it.
func isOf[T any](v *kong.Value) bool {
	kind := v.Target.Type()
	return kind == reflect.TypeFor[T]() || kind == reflect.TypeFor[[]T]()
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
