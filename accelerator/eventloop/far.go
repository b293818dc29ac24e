package eventloop

import "time"

// BBR, the congestion control that suits clients far away and behind losses, paces
// what it sends: with a timer for nearly every burst, and smaller bursts. To a
// client nearby that gains nothing and costs up to a fifth of the processor time of a
// large answer. Once paced, a connection stays so. So where the machine uses BBR,
// connections begin with CUBIC, which sends when the client has acknowledged, and
// those that are used a lot by a client far away go over to BBR.
const (
	farControl  = "bbr"
	nearControl = "cubic"
	// near is the longest round trip of a network nearby.
	near = time.Millisecond
	// muchAtOnce is a body that is worth the two system calls. A connection that
	// sends as much in many answers is used a lot as well.
	muchAtOnce = 64 << 10
)

// beginNear has the connections of a listening socket begin with CUBIC, and
// reports whether they are to go over to BBR if the client is far away.
func beginNear(listener int) bool {
	return control(listener) == farControl && setControl(listener, nearControl)
}

// goFar has a connection that is used a lot go over to BBR if the client is far away.
func (l *loop) goFar(c *conn) {
	c.settled = true
	if roundTrip(int(c.fd)) > near {
		setControl(int(c.fd), farControl)
	}
}
