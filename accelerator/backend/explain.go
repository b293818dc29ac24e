package backend

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Explain says of each backend whether it may get the next request, and why not,
// a line each.
func (p *Pool) Explain() string {
	now := p.settings.Now()
	anybody, members := false, p.roster.Load().members
	for _, m := range members {
		anybody = anybody || m.well(now.UnixNano())
	}
	var b strings.Builder
	for _, m := range members {
		verdict := "may get it"
		switch until, ejected := m.Ejected(now); {
		case m.Draining():
			verdict = "drained"
		case m.kept():
			verdict = "not now, says its agent: " + m.Report().String()
		case m.address == "":
			verdict = ErrUnresolved.Error()
		case m.Health() == Down:
			verdict = "down, say its health checks"
		case m.Down():
			verdict = "down, says its agent"
		case ejected:
			verdict = "failed too often, left out until " + until.UTC().Format(time.RFC3339)
		}
		if most := p.most(m.Backend); !p.room(m.Backend) {
			verdict += ", when it has fewer than " + strconv.Itoa(most) + " requests"
		}
		if !anybody && !m.kept() {
			verdict += "; so are all, so it may get it"
		}
		warmth := ""
		if w := m.ready(m.warmth(now.UnixNano(), p.settings.SlowStart)); w < full && !m.kept() {
			warmth = fmt.Sprintf(", of which %d%% just now", w)
		}
		fmt.Fprintf(&b, "%s, weight %d%s: %s\n", m.URL, m.weight, warmth, verdict)
	}
	return b.String()
}
