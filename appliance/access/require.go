package access

import (
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Require lets requests with the right name and password through to next, without the password. A page of another site,
// which could use the password that a browser remembers, is refused; so is, for a while, who has guessed too often.
func (a *Access) Require(next http.Handler) http.Handler {
	if a.Asked != nil {
		next = a.Asked(next)
	}
	return new(http.CrossOriginProtection).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, _, _ := net.SplitHostPort(r.RemoteAddr)
		user, password, given := r.BasicAuth()
		if given {
			if wait := a.guess.wait(from, time.Now()); wait > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
				http.Error(w, "too many wrong passwords: wait", http.StatusTooManyRequests)
				return
			}
			if a.Allowed(user, password) {
				a.guess.forget(from)
				r.Header.Del("Authorization")
				next.ServeHTTP(w, r)
				return
			}
			a.guess.wrong(from, time.Now())
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="ramjet"`)
		http.Error(w, "the name is "+User+", the password that of updates", http.StatusUnauthorized)
	}))
}

// The limits of guessing, for each address.
const (
	freeGuesses  = 5               // wrong ones without a wait
	guessPause   = 2 * time.Second // after the next one; twice as long after each one more
	maxPause     = time.Minute
	maxAddresses = 1024 // that are remembered
)

// limiter remembers who has guessed wrong.
type limiter struct {
	mu sync.Mutex
	by map[string]guesses // guarded by mu
}

type guesses struct {
	wrong int
	until time.Time // no further one before
}

func newLimiter() *limiter { return &limiter{by: map[string]guesses{}} }

// wait returns how long an address has to wait.
func (l *limiter) wait(from string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.by[from].until.Sub(now)
}

// wrong counts a wrong password.
func (l *limiter) wrong(from string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g, known := l.by[from]
	if !known && len(l.by) >= maxAddresses { // Who has so many addresses guesses anyway.
		clear(l.by)
	}
	g.wrong++
	if over := g.wrong - freeGuesses; over > 0 {
		g.until = now.Add(min(guessPause<<min(over-1, 10), maxPause))
	}
	l.by[from] = g
}

// forget takes an address's guesses back.
func (l *limiter) forget(from string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.by, from)
}
