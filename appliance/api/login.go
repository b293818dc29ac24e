package api

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"ramjet/appliance/token"
)

// Password knows the box's name and password.
type Password interface {
	Allowed(user, password string) bool
}

// login lets in who may do something.
type login struct {
	password Password
	tokens   *token.Store
	guesses  guesses
}

// client is who was let in.
type client struct {
	name  string // in the history, and compared when a change is confirmed
	scope func(string) bool
}

type clientKey struct{}

// who returns the client of a request that was let in.
func who(r *http.Request) client { return r.Context().Value(clientKey{}).(client) }

// owner is the scope that no token has.
const owner = "owner"

// require lets requests through whose name and password, or token, are for the scope.
func (l *login) require(scope string, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, _, _ := net.SplitHostPort(r.RemoteAddr)
		given := r.Header.Get("Authorization") != ""
		if given {
			if wait := l.guesses.wait(from); wait > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
				http.Error(w, "too many wrong passwords: wait", http.StatusTooManyRequests)
				return
			}
		}
		c, ok := l.client(r)
		switch {
		case !ok:
			if given {
				l.guesses.wrong(from)
			}
			w.Header().Set("WWW-Authenticate", `Basic realm="ramjet"`)
			http.Error(w, "who are you? Send the name gokrazy and the password of updates, or a token", http.StatusUnauthorized)
		case !c.scope(scope):
			http.Error(w, "this token is not for "+scope, http.StatusForbidden)
		default:
			l.guesses.right(from)
			next(w, r.WithContext(context.WithValue(r.Context(), clientKey{}, c)))
		}
	})
}

func (l *login) client(r *http.Request) (client, bool) {
	if secret, is := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); is {
		t, ok := l.tokens.Find(strings.TrimSpace(secret))
		return client{"token " + t.ID + " (" + t.Name + ")", t.Allows}, ok
	}
	user, password, given := r.BasicAuth()
	ok := given && l.password.Allowed(user, password)
	return client{user, func(string) bool { return true }}, ok
}

// The limits of guessing.
const (
	freeGuesses  = 5                // of one address, at once
	guessEvery   = 10 * time.Second // and then one in that time
	allGuesses   = 50               // of all addresses that have never been right, at once
	allEvery     = 2 * time.Second  // and then one in that time
	maxAddresses = 1024             // that are remembered
)

// guesses counts wrong passwords and tokens. Who was right before is not kept out by what others guess.
type guesses struct {
	mu  sync.Mutex
	by  map[string]*guesser // guarded by mu
	all *rate.Limiter
}

type guesser struct {
	wrong *rate.Limiter
	right bool // once, since
}

// of is called with mu held.
func (g *guesses) of(from string) *guesser {
	if g.by == nil {
		g.by, g.all = map[string]*guesser{}, rate.NewLimiter(rate.Every(allEvery), allGuesses)
	}
	b := g.by[from]
	if b == nil {
		if len(g.by) >= maxAddresses { // Who has so many addresses is held by the limit for all.
			for address, other := range g.by {
				if !other.right {
					delete(g.by, address)
				}
			}
			if len(g.by) >= maxAddresses {
				clear(g.by)
			}
		}
		b = &guesser{wrong: rate.NewLimiter(rate.Every(guessEvery), freeGuesses)}
		g.by[from] = b
	}
	return b
}

// wait is how long an address has to wait until it may try.
func (g *guesses) wait(from string) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.of(from)
	wait := until(b.wrong)
	if !b.right {
		wait = max(wait, until(g.all))
	}
	return wait
}

// until is how long it takes until a limiter lets one through. None is taken.
func until(l *rate.Limiter) time.Duration {
	missing := 1 - l.Tokens()
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing / float64(l.Limit()) * float64(time.Second))
}

func (g *guesses) wrong(from string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.of(from).wrong.Allow()
	g.all.Allow()
}

func (g *guesses) right(from string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.of(from).right = true
}
