/*
 * Terminal and signals of `seep top`. Signals are blocked except inside ppoll(), so none is lost
 * between looking at a flag and going to sleep, and all work on the terminal is done outside of
 * handlers.
 */
#include "cmd/top_live.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/str.h"

#define HIDE_CURSOR "\033[?25l"
#define SHOW_CURSOR "\033[?25h"
#define CLEAR_LINE "\033[K"
#define CLEAR_BELOW "\033[J"
#define CTRL_C 3

static volatile sig_atomic_t end_signal, stop_signal, size_signal;

static void on_end(int number)
{
	end_signal = number;
}

static void on_stop(int number)
{
	stop_signal = number;
}

static void on_size(int number)
{
	size_signal = number;
}

static const struct {
	int number;
	void (*handler)(int);
	bool terminal_only;
} caught[] = {
	{SIGINT, on_end, false},  {SIGTERM, on_end, false},  {SIGHUP, on_end, false},
	{SIGTSTP, on_stop, true}, {SIGWINCH, on_size, true},
};
#define NR_CAUGHT (sizeof(caught) / sizeof(caught[0]))

int top_live_signal(void)
{
	return end_signal;
}

static void put(const char *text)
{
	/* A terminal that is gone is noticed by the next wait. */
	(void)io_write_all(STDOUT_FILENO, text, strlen(text));
}

static void read_size(struct top_live *l)
{
	struct winsize size;

	l->columns = 80;
	l->rows = 24;
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col && size.ws_row) {
		l->columns = size.ws_col;
		l->rows = size.ws_row;
	}
}

static void take_terminal(struct top_live *l)
{
	struct termios raw = l->before;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	put(HIDE_CURSOR);
	read_size(l);
}

static void give_terminal(struct top_live *l)
{
	put(SHOW_CURSOR);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &l->before);
}

void top_live_begin(struct top_live *l, bool terminal)
{
	sigset_t blocked;

	*l = (struct top_live){.terminal = terminal};
	end_signal = stop_signal = size_signal = 0;
	if (terminal && tcgetattr(STDIN_FILENO, &l->before) < 0)
		l->terminal = false;
	sigemptyset(&blocked);
	for (size_t i = 0; i < NR_CAUGHT; i++) {
		struct sigaction action = {.sa_handler = caught[i].handler}, before;

		if (caught[i].terminal_only && !l->terminal)
			continue;
		/* What was ignored for us (nohup) stays so. */
		sigaction(caught[i].number, NULL, &before);
		if (before.sa_handler == SIG_IGN)
			continue;
		sigaction(caught[i].number, &action, NULL);
		sigaddset(&blocked, caught[i].number);
	}
	sigprocmask(SIG_BLOCK, &blocked, &l->mask_before);
	if (l->terminal)
		take_terminal(l);
}

void top_live_end(struct top_live *l)
{
	struct sigaction now;

	if (l->terminal)
		give_terminal(l);
	l->terminal = false;
	for (size_t i = 0; i < NR_CAUGHT; i++) {
		sigaction(caught[i].number, NULL, &now);
		if (now.sa_handler == caught[i].handler)
			signal(caught[i].number, SIG_DFL);
	}
	sigprocmask(SIG_SETMASK, &l->mask_before, NULL);
}

/* Ctrl-Z: leaves the terminal to the shell as it was, and takes it again when we go on. */
static void stop_ourselves(struct top_live *l)
{
	sigset_t only;

	stop_signal = 0;
	give_terminal(l);
	signal(SIGTSTP, SIG_DFL);
	raise(SIGTSTP);
	sigemptyset(&only);
	sigaddset(&only, SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &only, NULL);
	/* Stopped here. */
	sigprocmask(SIG_BLOCK, &only, NULL);
	signal(SIGTSTP, on_stop);
	l->lines_drawn = 0;
	take_terminal(l);
}

static bool read_key(enum top_wake *ret)
{
	unsigned char key;
	ssize_t got = read(STDIN_FILENO, &key, 1);

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return false;
	if (got <= 0 || key == 'q' || key == 'Q' || key == CTRL_C)
		*ret = TOP_WAKE_END;
	else if (key == 's' || key == 'S')
		*ret = TOP_WAKE_SORT;
	else
		return false;
	return true;
}

/* False when the deadline has passed. */
static bool time_left(uint64_t deadline_ns, struct timespec *ret)
{
	const uint64_t second = 1000000000;
	struct timespec t;
	uint64_t now;

	clock_gettime(CLOCK_MONOTONIC, &t);
	now = (uint64_t)t.tv_sec * second + (uint64_t)t.tv_nsec;
	if (now >= deadline_ns)
		return false;
	ret->tv_sec = (time_t)((deadline_ns - now) / second);
	ret->tv_nsec = (long)((deadline_ns - now) % second);
	return true;
}

enum top_wake top_live_wait(struct top_live *l, uint64_t deadline_ns)
{
	struct pollfd input = {.fd = l->terminal ? STDIN_FILENO : -1, .events = POLLIN};
	struct timespec left;
	enum top_wake wake;

	for (;;) {
		if (end_signal)
			return TOP_WAKE_END;
		if (stop_signal) {
			stop_ourselves(l);
			return TOP_WAKE_REDRAW;
		}
		if (size_signal) {
			size_signal = 0;
			read_size(l);
			return TOP_WAKE_REDRAW;
		}
		if (!time_left(deadline_ns, &left))
			return TOP_WAKE_TIME;
		if (ppoll(&input, 1, &left, &l->mask_before) > 0 && read_key(&wake))
			return wake;
	}
}

/*
 * Appends one line of at most `columns` characters; escape sequences (which end with 'm') take no
 * room and are kept, so that a colour is always switched off again.
 */
static void add_cut(struct str *out, const char *line, size_t len, unsigned int columns)
{
	unsigned int used = 0;

	for (size_t i = 0; i < len; i++) {
		if (line[i] == '\033') {
			const char *end = memchr(line + i, 'm', len - i);
			size_t last = end ? (size_t)(end - line) : len - 1;

			str_add_len(out, line + i, last - i + 1);
			i = last;
			continue;
		}
		used += ((unsigned char)line[i] & 0xc0) != 0x80;
		if (used <= columns)
			str_add_char(out, line[i]);
	}
}

void top_live_draw(struct top_live *l, const char *text)
{
	struct str out = STR_INIT;
	size_t drawn = 0;

	if (l->lines_drawn)
		str_printf(&out, "\r\033[%zuA", l->lines_drawn);
	while (*text && drawn + 1 < l->rows) {
		size_t len = strcspn(text, "\n");

		add_cut(&out, text, len, l->columns);
		str_add(&out, CLEAR_LINE "\r\n");
		text += len + (text[len] == '\n');
		drawn++;
	}
	str_add(&out, CLEAR_BELOW);
	put(out.data);
	str_release(&out);
	l->lines_drawn = drawn;
}
