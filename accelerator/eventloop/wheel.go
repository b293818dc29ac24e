package eventloop

import "time"

// A wheel finds the connections whose deadlines have passed (Varghese and Lauck,
// "Hashed and Hierarchical Timing Wheels", 1987). A deadline that is put off, as
// with each request, costs one store: the connection stays where it is in the
// wheel, and when its turn comes it is put where it belongs now.
type wheel struct {
	spokes [numSpokes]*conn // lists, linked through the connections
	at     int64            // the spoke that is due next, counted from the beginning
	next   int64            // no spoke before this one has anything on it
}

const (
	numSpokes = 1024
	spokeTime = int64(64 * time.Millisecond) // of one spoke; all of them are a little more than a minute
)

// put hangs c on the spoke of its deadline, or on the last that there is before
// the wheel has turned once.
func (w *wheel) put(c *conn) {
	spoke := min(max(c.deadline/spokeTime+1, w.at), w.at+numSpokes-1)
	c.spoke = spoke
	w.next = min(w.next, spoke)
	head := &w.spokes[spoke%numSpokes]
	c.after, c.before = *head, nil
	if *head != nil {
		(*head).before = c
	}
	*head = c
}

// remove takes c off the wheel.
func (w *wheel) remove(c *conn) {
	switch {
	case c.spoke < 0:
		return
	case c.before != nil:
		c.before.after = c.after
	default:
		w.spokes[c.spoke%numSpokes] = c.after
	}
	if c.after != nil {
		c.after.before = c.before
	}
	c.after, c.before, c.spoke = nil, nil, -1
}

// set gives c a deadline. Only one that comes earlier than the spoke that it is
// on moves it.
func (w *wheel) set(c *conn, deadline int64) {
	c.deadline = deadline
	if c.spoke >= 0 && deadline/spokeTime+1 >= c.spoke {
		return
	}
	w.remove(c)
	w.put(c)
}

// turn calls expired for each connection whose deadline is before now.
func (w *wheel) turn(now int64, expired func(*conn)) {
	due := now / spokeTime
	if due < w.next {
		return
	}
	for ; w.at <= due; w.at++ {
		// One by one: what expires may take others with it.
		for c := w.spokes[w.at%numSpokes]; c != nil; c = w.spokes[w.at%numSpokes] {
			w.remove(c)
			if c.deadline < now {
				expired(c)
			} else {
				w.put(c)
			}
		}
	}
	for w.next = w.at; w.next < w.at+numSpokes && w.spokes[w.next%numSpokes] == nil; {
		w.next++
	}
}

// due returns how long after now the next spoke is due that has something on it.
func (w *wheel) due(now int64) time.Duration {
	return time.Duration(max(w.next*spokeTime-now, 0))
}
