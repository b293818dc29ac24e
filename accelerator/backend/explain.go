package backend

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Explain says of each backend whether it gets the next request with that key, or how
// likely that is, and else why not, a line each. A key of 0 is none, or not known.
func (p *Pool) Explain(key uint64) string {
	now, r := p.settings.Now(), p.roster.Load()
	from, well := p.candidates(nil, r, now.UnixNano())
	chances := p.chances(from, key)
	var b strings.Builder
	for _, m := range r.members {
		verdict := p.trouble(m, now)
		if chance := chances[m]; well && verdict == "" {
			verdict = chance
		} else if chance != "" {
			verdict += "; so are all, and it " + chance
		}
		if most := p.most(m.Backend); !p.room(m.Backend) {
			verdict += ", when it has fewer than " + strconv.Itoa(most) + " requests"
		}
		warmth := ""
		if w := m.ready(m.warmth(now.UnixNano(), p.settings.SlowStart)); w < full && !m.kept() {
			warmth = fmt.Sprintf(", of which %d%% just now", w)
		}
		fmt.Fprintf(&b, "%s, weight %d%s: %s\n", m.URL, m.weight, warmth, verdict)
	}
	return b.String()
}

// trouble says why a backend is not well, nothing if it is.
func (p *Pool) trouble(m *member, now time.Time) string {
	switch until, ejected := m.Ejected(now); {
	case m.Maintained():
		return "in maintenance"
	case m.Draining():
		return "drained"
	case m.kept():
		return "not now, says its agent: " + m.Report().String()
	case m.address == "":
		return ErrUnresolved.Error()
	case m.Health() == Down:
		return "down, say its health checks"
	case m.Down():
		return "down, says its agent"
	case ejected:
		return "failed too often, left out until " + until.UTC().Format(time.RFC3339)
	}
	return ""
}

// chances says of the candidates how likely it is that they get a request.
func (p *Pool) chances(from []candidate, key uint64) map[*member]string {
	chances := map[*member]string{}
	for _, c := range from {
		chances[c.member] = "gets it when none of a lower priority is well"
	}
	first := firstTier(slices.Clone(from))
	if p.settings.Balance == Hash && key != 0 && len(first) > 0 {
		its := byHash(first, key)
		for _, c := range first {
			chances[c.member] = "gets it when the one that it belongs to has more than its share to do"
		}
		chances[its] = "gets it, by its hash"
		return chances
	}
	sum := int64(0)
	for _, c := range first {
		sum += c.share
	}
	for _, c := range first {
		if len(first) == 1 {
			chances[c.member] = "gets it"
			break
		}
		chances[c.member] = fmt.Sprintf("gets %d%% of such", (200*c.share+sum)/(2*sum))
	}
	return chances
}
