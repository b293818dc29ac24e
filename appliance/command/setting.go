package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"ramjet/appliance/api"
	"ramjet/appliance/trial"
)

// setting is one that can be changed: config or network.
type setting struct {
	box    *box
	t      *Terminal
	name   string
	yes    bool
	within time.Duration
}

// verb is what can be done with a setting.
type verb struct {
	name        string
	least, most int // words behind it
	do          func(s *setting, ctx context.Context, words []string) error
}

var verbs = []verb{
	{"show", 0, 0, func(s *setting, ctx context.Context, _ []string) error { return s.box.show(ctx, "/"+s.name) }},
	{"edit", 0, 0, (*setting).edit},
	{"set", 2, 2, func(s *setting, ctx context.Context, words []string) error {
		return s.patch(ctx, func(text []byte) ([]byte, error) { return Set(text, words[0], words[1]) })
	}},
	{"unset", 1, 1, func(s *setting, ctx context.Context, words []string) error {
		return s.patch(ctx, func(text []byte) ([]byte, error) { return Unset(text, words[0]) })
	}},
	{"put", 1, 1, (*setting).put},
	{"history", 0, 1, (*setting).history},
	{"restore", 1, 1, func(s *setting, ctx context.Context, words []string) error {
		return s.try(ctx, http.MethodPost, "/history/"+escape(words[0])+"/restore", "", nil)
	}},
	{"confirm", 0, 0, func(s *setting, ctx context.Context, _ []string) error { return s.confirm(ctx) }},
	{"revert", 0, 0, func(s *setting, ctx context.Context, _ []string) error { return s.revert(ctx) }},
}

func escape(word string) string { return url.PathEscape(word) }

// patch changes the text that there is.
func (s *setting) patch(ctx context.Context, change func([]byte) ([]byte, error)) error {
	now, err := s.box.ask(ctx, http.MethodGet, "/"+s.name, "", nil)
	if err != nil {
		return err
	}
	text, err := change(now.text)
	if err != nil {
		return err
	}
	return s.try(ctx, http.MethodPut, "", now.tag, text)
}

func (s *setting) put(ctx context.Context, words []string) error {
	in := s.t.In
	if words[0] != "-" {
		f, err := os.Open(words[0])
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	} else {
		s.t.Asks = false // The answers would be read from the text.
	}
	text, err := io.ReadAll(io.LimitReader(in, api.MaxText+1))
	if err != nil {
		return err
	}
	return s.patch(ctx, func([]byte) ([]byte, error) { return text, nil })
}

// edit has it edited until it is right, or left as it was.
func (s *setting) edit(ctx context.Context, _ []string) error {
	now, err := s.box.ask(ctx, http.MethodGet, "/"+s.name, "", nil)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ramjet-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, s.name+".json")
	if err := os.WriteFile(file, now.text, 0o600); err != nil {
		return err
	}
	for {
		if err := s.t.Edit(ctx, file); err != nil {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		err = s.try(ctx, http.MethodPut, "", now.tag, text)
		var r refusal
		if !errors.As(err, &r) || r.status != http.StatusUnprocessableEntity || !s.t.Asks {
			return err
		}
		fmt.Fprintln(s.t.Err, r.text)
		if !s.t.ask("Edit it again?") {
			return errors.New("nothing was changed")
		}
	}
}

// editor runs the user's.
func editor(ctx context.Context, file string) error {
	words := strings.Fields(envOr("VISUAL", envOr("EDITOR", "vi")))
	cmd := exec.CommandContext(ctx, words[0], append(words[1:], file)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the editor %s: %w; set EDITOR", words[0], err)
	}
	return nil
}

// try shows what would change, has it tried, and then confirmed.
func (s *setting) try(ctx context.Context, method, path, match string, text []byte) error {
	look, err := s.change(ctx, method, path+"?dry-run=true", match, text)
	if err != nil {
		return err
	}
	if look.Diff == "" {
		fmt.Fprintln(s.t.Err, "nothing would change")
		return nil
	}
	fmt.Fprint(s.t.Out, look.Diff)
	if !s.yes && s.t.Asks && !s.t.ask("Try it?") {
		return errors.New("nothing was changed")
	}
	done, err := s.change(ctx, method, path+"?within="+s.within.String(), match, text)
	if err != nil {
		return err
	}
	if done.Trial == nil {
		fmt.Fprintln(s.t.Err, "nothing would change")
		return nil
	}
	if done.Trial.Said != "" {
		fmt.Fprintln(s.t.Err, done.Trial.Said)
	}
	switch {
	case s.yes:
	case !s.t.Asks:
		fmt.Fprintf(s.t.Err, "on trial; without \"appliance %s confirm\" within %v it is taken back\n", s.name, s.within)
		return nil
	case !s.t.ask(fmt.Sprintf("On trial: without your confirmation within %v it is taken back. Look whether all is well. Keep it?", s.within)):
		return s.revert(ctx)
	}
	return s.confirm(ctx)
}

func (s *setting) change(ctx context.Context, method, path, match string, text []byte) (api.Answer, error) {
	a, err := s.box.ask(ctx, method, "/"+s.name+path, match, text)
	var said api.Answer
	if err == nil {
		err = json.Unmarshal(a.text, &said)
	}
	return said, err
}

// confirm is tried as long as the trial goes on: the way to the box may just be changing.
func (s *setting) confirm(ctx context.Context) error {
	deadline := time.Now().Add(s.within)
	for {
		_, err := s.box.ask(ctx, http.MethodPost, "/"+s.name+"/confirm", "", nil)
		var r refusal
		switch {
		case err == nil:
			fmt.Fprintln(s.t.Err, "confirmed: it stays")
			return nil
		case errors.As(err, &r) && r.status != http.StatusConflict, ctx.Err() != nil:
			return err
		case time.Now().After(deadline):
			return fmt.Errorf("not confirmed, the box takes it back by itself: %w", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (s *setting) revert(ctx context.Context) error {
	if _, err := s.box.ask(ctx, http.MethodPost, "/"+s.name+"/revert", "", nil); err != nil {
		return err
	}
	fmt.Fprintln(s.t.Err, "it is taken back")
	return nil
}

func (s *setting) history(ctx context.Context, words []string) error {
	if len(words) == 0 {
		a, err := s.box.ask(ctx, http.MethodGet, "/"+s.name+"/history", "", nil)
		if err != nil {
			return err
		}
		var all []trial.Entry
		if err := json.Unmarshal(a.text, &all); err != nil {
			return err
		}
		for _, e := range all {
			fmt.Fprintf(s.t.Out, "%4d  %s  %-9s  %s\n", e.ID, e.Began.Local().Format(time.DateTime), e.How, about(e))
		}
		return nil
	}
	a, err := s.box.ask(ctx, http.MethodGet, "/"+s.name+"/history/"+escape(words[0]), "", nil)
	if err != nil {
		return err
	}
	var e api.Entry
	if err := json.Unmarshal(a.text, &e); err != nil {
		return err
	}
	if e.Text == nil {
		fmt.Fprintln(s.t.Err, "there was no file")
		return nil
	}
	_, err = io.WriteString(s.t.Out, *e.Text)
	return err
}

func about(e trial.Entry) string {
	var parts []string
	if e.Who != "" {
		parts = append(parts, e.Who+" from "+e.From)
	}
	for _, more := range []string{e.Note, e.Why} {
		if more != "" {
			parts = append(parts, more)
		}
	}
	return strings.Join(parts, "; ")
}
