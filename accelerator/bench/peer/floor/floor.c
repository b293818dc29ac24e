/*
 * The floor: what the kernel's TCP costs, and an event loop that does nothing
 * else. It answers with a ready-made file of bytes, and does not parse: it takes
 * every LENGTH bytes that come for a request.
 *
 *   floor PORT FILE LENGTH keep|close
 *
 * One thread, epoll, edge-triggered; one recv and one send for all requests that
 * came together.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_FD = 1 << 16, BATCH = 64, INPUT = 64 << 10 };

static char *answer;         /* BATCH times the answer */
static size_t answer_length; /* of one */
static size_t request_length;
static int close_after;

/* What a connection, by its descriptor, has received and has still to send. */
static struct { size_t received, owed; } conns[MAX_FD];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void read_answer(const char *name)
{
	FILE *f = fopen(name, "rb");
	if (!f || fseek(f, 0, SEEK_END) || (answer_length = ftell(f)) == 0)
		die(name);
	rewind(f);
	if (!(answer = malloc(answer_length * BATCH)))
		die("malloc");
	if (fread(answer, 1, answer_length, f) != answer_length)
		die(name);
	fclose(f);
	for (int i = 1; i < BATCH; i++)
		memcpy(answer + i * answer_length, answer, answer_length);
}

static int listen_on(int port)
{
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (fd < 0)
		die("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) || /* accepted sockets inherit it */
	    setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &on, sizeof on))
		die("setsockopt");
	if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 4096))
		die("bind");
	return fd;
}

/* Sends what is owed, as far as it fits. Returns 0 if the connection is broken. */
static int answer_what_is_owed(int fd)
{
	while (conns[fd].owed > 0) {
		/* What is owed ends with an answer, so it begins where one does or within one. */
		size_t begin = (answer_length - conns[fd].owed % answer_length) % answer_length;
		size_t most = answer_length * BATCH - begin;
		ssize_t sent = send(fd, answer + begin, conns[fd].owed < most ? conns[fd].owed : most, MSG_NOSIGNAL);
		if (sent < 0)
			return errno == EAGAIN;
		conns[fd].owed -= sent;
	}
	return 1;
}

/* Handles what happened on a connection. Returns 0 if it is to be closed. */
static int serve(int fd, unsigned what)
{
	static char input[INPUT];
	ssize_t n = INPUT;
	while ((what & ~EPOLLOUT) && n == INPUT) {
		n = recv(fd, input, sizeof input, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return 0;
		if (n > 0) {
			conns[fd].received += n;
			conns[fd].owed += conns[fd].received / request_length * answer_length;
			conns[fd].received %= request_length;
		}
	}
	if (conns[fd].owed == 0)
		return 1;
	return answer_what_is_owed(fd) && !(close_after && conns[fd].owed == 0);
}

static void accept_all(int listener, int loop)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
	int fd;
	while ((fd = accept4(listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		if (fd >= MAX_FD) {
			close(fd);
			continue;
		}
		conns[fd].received = conns[fd].owed = 0;
		e.data.fd = fd;
		if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &e))
			die("epoll_ctl");
	}
}

int main(int argc, char **argv)
{
	struct epoll_event events[512], e = {.events = EPOLLIN | EPOLLET};
	if (argc != 5) {
		fprintf(stderr, "usage: floor PORT FILE LENGTH keep|close\n");
		return 2;
	}
	read_answer(argv[2]);
	request_length = atoi(argv[3]);
	close_after = !strcmp(argv[4], "close");
	int listener = listen_on(atoi(argv[1])), loop = epoll_create1(EPOLL_CLOEXEC);
	e.data.fd = listener;
	if (request_length == 0 || loop < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, listener, &e))
		die("epoll");
	for (;;) {
		int n = epoll_wait(loop, events, 512, -1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			if (fd == listener)
				accept_all(listener, loop);
			else if (!serve(fd, events[i].events))
				close(fd);
		}
	}
}
