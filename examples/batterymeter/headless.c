/* The meter without a screen, driven by lines on standard input; see session.h. */
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "meter.h"
#include "session.h"

struct input {
	bool open;
	bool end_matters; /* end of input means quit */
	size_t len;
	char line[128];
};

static void answer(struct meter *m)
{
	struct view v;

	meter_look(m, &v);
	totals_print(&v.totals, v.paused ? "resting" : "running");
}

static void complain(const char *line)
{
	dprintf(STDOUT_FILENO, "{\"error\":\"unknown command\",\"length\":%zu}\n", strlen(line));
}

/* Carries out one command. False: the program shall end. */
static bool obey(struct session *s, const char *line)
{
	unsigned long long turns;
	char *end;

	if (strcmp(line, "quit") == 0)
		return false;
	if (strncmp(line, "turn ", 5) == 0 && isdigit((unsigned char)line[5])) {
		turns = strtoull(line + 5, &end, 10);
		if (*end == '\0') {
			meter_turn_more(s->meter, turns);
			meter_wait(s->meter);
			answer(s->meter);
			return true;
		}
	}
	if (strcmp(line, "pause") == 0)
		meter_pause(s->meter, true);
	else if (strcmp(line, "go") == 0)
		meter_go(s->meter);
	else if (strcmp(line, "truth") != 0) {
		complain(line);
		return true;
	}
	answer(s->meter);
	return true;
}

/* Takes what there is to read; lines that are too long are cut. False: end. */
static bool read_commands(struct session *s, struct input *in)
{
	char buffer[256];
	ssize_t got = read(STDIN_FILENO, buffer, sizeof(buffer));

	if (got < 0)
		return errno == EINTR || errno == EAGAIN;
	if (got == 0) {
		in->open = false;
		return true;
	}
	for (ssize_t i = 0; i < got; i++) {
		if (buffer[i] != '\n') {
			if (in->len < sizeof(in->line) - 1)
				in->line[in->len++] = buffer[i];
			continue;
		}
		in->line[in->len] = '\0';
		in->len = 0;
		if (in->line[0] && !obey(s, in->line))
			return false;
	}
	return true;
}

/* A job in the background must not read the terminal; /dev/null is nobody who could say "end". */
static void open_input(struct input *in, const struct session *s)
{
	struct stat st;

	if (fstat(STDIN_FILENO, &st) < 0)
		return;
	in->open = !isatty(STDIN_FILENO) || tcgetpgrp(STDIN_FILENO) == getpgrp();
	in->end_matters = !s->end_ns && (s->turns_limited || !S_ISCHR(st.st_mode));
}

void headless_run(struct session *s)
{
	struct input in = {0};
	struct pollfd fds[] = {
		{.fd = s->signal_fd, .events = POLLIN},
		{.fd = STDIN_FILENO, .events = POLLIN},
	};

	open_input(&in, s);
	for (;;) {
		fds[1].fd = in.open ? STDIN_FILENO : -1;
		if (!in.open && in.end_matters) {
			meter_wait(s->meter);
			return;
		}
		if (poll(fds, 2, session_poll_ms(s->end_ns)) < 0 && errno != EINTR)
			return;
		if (s->end_ns && session_now_ns() >= s->end_ns)
			return;
		if (fds[0].revents && session_told_to_end(s))
			return;
		if (in.open && fds[1].revents && !read_commands(s, &in))
			return;
	}
}
