package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tailscale/hujson"
)

// Set sets one setting of a text, and leaves the rest of it, comments as well, as it is. A key is names with dots between,
// such as limits.idle_time or backends.0.weight, or a JSON pointer. A value that is not JSON is text.
func Set(text []byte, key, value string) ([]byte, error) {
	at, err := pointer(key)
	if err != nil {
		return nil, err
	}
	root, fresh, err := parse(text)
	if err != nil {
		return nil, err
	}
	literal := []byte(value)
	if v, err := hujson.Parse(literal); err != nil {
		if literal, err = json.Marshal(value); err != nil {
			return nil, err
		}
	} else {
		v.Standardize()
		literal = v.Pack()
	}
	var steps []step
	for i, c := range at[1:] {
		if c == '/' && root.Find(at[:i+1]) == nil { // What it is in.
			steps = append(steps, step{"add", at[:i+1], json.RawMessage("{}")})
		}
	}
	how := "add"
	if root.Find(at) != nil {
		how = "replace"
	}
	if err := patch(&root, append(steps, step{how, at, literal})); err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	if fresh {
		root.Format()
	}
	return root.Pack(), nil
}

// Unset takes a setting out.
func Unset(text []byte, key string) ([]byte, error) {
	at, err := pointer(key)
	if err != nil {
		return nil, err
	}
	root, _, err := parse(text)
	if err != nil {
		return nil, err
	}
	if root.Find(at) == nil {
		return nil, fmt.Errorf("%s is not set", key)
	}
	if err := patch(&root, []step{{"remove", at, nil}}); err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return root.Pack(), nil
}

// step is one of a JSON patch (RFC 6902).
type step struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	Value json.RawMessage `json:"value,omitempty"`
}

func patch(root *hujson.Value, steps []step) error {
	text, err := json.Marshal(steps)
	if err != nil {
		return err
	}
	return root.Patch(text)
}

// pointer returns a key as a JSON pointer (RFC 6901).
func pointer(key string) (string, error) {
	if strings.HasPrefix(key, "/") && len(key) > 1 {
		return key, nil
	}
	var out strings.Builder
	for name := range strings.SplitSeq(key, ".") {
		if name == "" {
			return "", usageError{errors.New("a key is names with dots between, such as limits.idle_time, or a JSON pointer, such as /content/types/.wasm")}
		}
		out.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
	}
	return out.String(), nil
}

// parse reads a text; one that has no value yet is an empty object, and fresh.
func parse(text []byte) (root hujson.Value, fresh bool, err error) {
	if len(bytes.TrimSpace(text)) == 0 {
		text, fresh = []byte("{}"), true
	}
	if !bytes.HasSuffix(text, []byte("\n")) { // It may be in a comment, and that wants an end.
		text = append(bytes.Clone(text), '\n')
	}
	root, err = hujson.Parse(text)
	if err != nil { // Perhaps there is nothing but comments.
		if empty, emptyErr := hujson.Parse(append(bytes.Clone(text), "{}\n"...)); emptyErr == nil {
			return empty, false, nil
		}
	}
	if err != nil {
		return root, false, fmt.Errorf("what is there cannot be read: %w; use edit", err)
	}
	if o, is := root.Value.(*hujson.Object); is && len(o.Members) == 0 {
		fresh = true
	}
	return root, fresh, nil
}
