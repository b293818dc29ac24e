package eventloop

// late is what the log will say of an answer that takes its time.
type late struct {
	buf []byte
}

// note logs an answer that was sent.
func (l *loop) note(c *conn, r *request, status int, bytes int64) {}

// noteLate remembers what is to be logged when the output of c is sent.
func (l *loop) noteLate(c *conn, r *request, size int64) {}

// logLate logs it.
func (l *loop) logLate(c *conn, missing int64) {}
