/*
 * Tables on request: a recorder that finds itself in a new image (exec), or in a child that is to
 * be followed, connects to our socket and is sent the descriptor of a new table with one byte.
 *
 * Who it is the kernel tells (SO_PEERCRED), nothing is read from it. Without follow only the
 * program itself gets one; with follow whoever descends from us, under whatever user it runs by
 * then. (An orphan does so too: see collect() in launch_watch.c.) Everybody else just sees us hang
 * up.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "target/descent.h"
#include "target/launch_private.h"

/* Abstract: lives with the socket, needs no folder that the program can see (chroot). */
int launch_serve_open(struct launch *l)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	uint64_t random[2];
	int len;

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -errno;
	len = snprintf(l->socket_name, sizeof(l->socket_name), "seep-rec.%d.%016llx%016llx",
		       (int)getpid(), (unsigned long long)random[0], (unsigned long long)random[1]);
	memcpy(addr.sun_path + 1, l->socket_name, (size_t)len);
	l->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->listener < 0)
		return -errno;
	if (bind(l->listener, (struct sockaddr *)&addr,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) < 0 ||
	    listen(l->listener, SOMAXCONN) < 0)
		return -errno;
	return launch_watch(l, l->listener, LAUNCH_EVENT_SOCKET, 0);
}

static int send_descriptor(int s, int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char byte = 1;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(s, &msg, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

static bool may_have_one(const struct launch *l, const struct ucred *who,
			 const struct launch_process *known)
{
	if (known)
		return true;
	if (!l->follow || who->pid <= 0 || l->nr >= LAUNCH_PROCESSES_MAX)
		return false;
	return is_descendant(who->pid, getpid());
}

/* Has the process that we know under this pid ended, and the pid been given away? */
static bool has_ended(const struct launch_process *p)
{
	struct pollfd ended = {.fd = p->pidfd, .events = POLLIN};

	return poll(&ended, 1, 0) > 0;
}

static uint64_t address_space_of(int32_t pid)
{
	struct rlimit limit;

	return prlimit(pid, RLIMIT_AS, NULL, &limit) < 0 ? RLIM_INFINITY : limit.rlim_cur;
}

/* Who it is now is noted first: once it has its table, it may end at any moment. */
static void serve_new(struct launch *l, int32_t pid, int s, struct launch_table *table)
{
	struct launch_process *p = launch_add(l, pid, table);

	if (p && send_descriptor(s, p->seen.table.fd) < 0)
		launch_remove(l, p);
}

/* The image before has no mapping any more, so nobody writes its table. */
static void serve_again(struct launched *p, int s, struct launch_table *table)
{
	launch_note(p);
	p->image++;
	p->failed = false;
	p->seen = 0;
	launch_table_release(&p->table);
	p->table = *table;
	send_descriptor(s, p->table.fd);
}

static void answer(struct launch *l, int s)
{
	struct launch_process *known;
	struct launch_table table;
	struct error e = {0};
	struct ucred who;
	socklen_t len = sizeof(who);
	uint32_t image;

	if (getsockopt(s, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		return;
	known = launch_find(l, who.pid);
	if ((known && has_ended(known)) || !may_have_one(l, &who, known))
		return;
	if (known && known->waiting) {
		known->waiting = false;
		send_descriptor(s, known->seen.table.fd);
		return;
	}
	image = known ? known->seen.image + 1 : 1;
	if (launch_table_create(image, address_space_of(who.pid), l->mode, &table, &e) < 0) {
		if (known) /* the table of the image before must not pass for this one's */
			launch_table_fail(&known->seen.table, e.message);
		return;
	}
	launch_table_ask_exits(&table, l->exits);
	if (known)
		serve_again(&known->seen, s, &table);
	else
		serve_new(l, who.pid, s, &table);
	launch_clock_start(l);
}

void launch_serve(struct launch *l)
{
	int s;

	while ((s = accept4(l->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		answer(l, s);
		close(s);
	}
}
