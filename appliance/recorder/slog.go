package recorder

import (
	"context"
	"log/slog"
	"strings"
)

// Handler returns a handler which passes everything on, and records what is a warning or worse. An error is on the disk
// when the call returns: the machine may be about to be started anew because of it.
func (r *Recorder) Handler(next slog.Handler) slog.Handler { return handler{r, next, ""} }

type handler struct {
	recorder *Recorder
	next     slog.Handler
	attrs    string
}

func (h handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h handler) Handle(ctx context.Context, record slog.Record) error {
	err := h.next.Handle(ctx, record)
	if record.Level < slog.LevelWarn {
		return err
	}
	var text strings.Builder
	text.WriteString(record.Message + h.attrs)
	record.Attrs(func(a slog.Attr) bool {
		text.WriteString(" " + a.String())
		return true
	})
	kind := "warning"
	if record.Level >= slog.LevelError {
		kind = "error"
	}
	h.recorder.Note(kind, "", text.String())
	if record.Level >= slog.LevelError {
		h.recorder.Urge()
	}
	return err
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		h.attrs += " " + a.String()
	}
	h.next = h.next.WithAttrs(attrs)
	return h
}

func (h handler) WithGroup(name string) slog.Handler {
	h.next = h.next.WithGroup(name)
	return h
}
