/*
 * The meter on a full screen, in plain ANSI sequences. Each picture is put together in one buffer
 * and written at once, so that nothing flickers and nothing is allocated.
 */
#include <errno.h>
#include <langinfo.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "meter.h"
#include "session.h"

#define REDRAW_NS 100000000ull
#define BOX_WIDTH 64 /* columns, borders included */
#define BOX_HEIGHT 10
#define BAR_WIDTH 32

struct screen {
	struct termios before; /* what to restore */
	bool utf8, colour;
	int rows, cols;
	int top, left; /* of the box, from 1 */
	uint64_t start_ns;
	size_t len;
	char out[16384];
};

static void put(struct screen *sc, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct screen *sc, const char *format, ...)
{
	size_t room = sizeof(sc->out) - sc->len;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(sc->out + sc->len, room, format, args);
	va_end(args);
	if (len > 0)
		sc->len += (size_t)len < room ? (size_t)len : room - 1;
}

static void flush_out(struct screen *sc)
{
	size_t done = 0;
	ssize_t n;

	while (done < sc->len) {
		n = write(STDOUT_FILENO, sc->out + done, sc->len - done);
		if (n < 0 && errno != EINTR)
			break;
		done += n > 0 ? (size_t)n : 0;
	}
	sc->len = 0;
}

static void colour(struct screen *sc, const char *code)
{
	if (sc->colour)
		put(sc, "\033[%sm", code);
}

static void go_to(struct screen *sc, int row, int col)
{
	put(sc, "\033[%d;%dH", sc->top + row, sc->left + col);
}

static void repeat(struct screen *sc, const char *what, int times)
{
	for (int i = 0; i < times; i++)
		put(sc, "%s", what);
}

static void draw_box(struct screen *sc)
{
	const char *dash = sc->utf8 ? "─" : "-";
	const char *wall = sc->utf8 ? "│" : "|";

	colour(sc, "2");
	go_to(sc, 0, 0);
	put(sc, "%s", sc->utf8 ? "╭" : "+");
	repeat(sc, dash, BOX_WIDTH - 2);
	put(sc, "%s", sc->utf8 ? "╮" : "+");
	for (int row = 1; row < BOX_HEIGHT - 1; row++) {
		go_to(sc, row, 0);
		put(sc, "%s", wall);
		go_to(sc, row, BOX_WIDTH - 1);
		put(sc, "%s", wall);
	}
	go_to(sc, BOX_HEIGHT - 1, 0);
	put(sc, "%s", sc->utf8 ? "╰" : "+");
	repeat(sc, dash, BOX_WIDTH - 2);
	put(sc, "%s", sc->utf8 ? "╯" : "+");
	colour(sc, "0");
	go_to(sc, 0, 3);
	colour(sc, "1");
	put(sc, " Battery Meter ");
	colour(sc, "0");
}

static void draw_bar(struct screen *sc, int row, const char *label, int value, const char *unit,
		     const char *tint)
{
	static const char *const eighths[] = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
	int filled = value * BAR_WIDTH * 8 / 100;
	int cells = filled / 8, rest = filled % 8;

	go_to(sc, row, 3);
	put(sc, "%-17s", label);
	colour(sc, tint);
	repeat(sc, sc->utf8 ? "█" : "#", cells);
	if (cells < BAR_WIDTH) {
		put(sc, "%s", sc->utf8 ? eighths[rest] : ".");
		colour(sc, "0;2");
		repeat(sc, sc->utf8 ? "·" : ".", BAR_WIDTH - cells - 1);
	}
	colour(sc, "0;1");
	put(sc, " %4d %s", value, unit);
	colour(sc, "0");
}

/* The last readings as a line of little columns, scaled to their own range. */
static void draw_trend(struct screen *sc, int row, const struct view *v)
{
	static const char *const steps[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	static const char *const ascii[] = {"_", "_", ".", ".", "-", "-", "=", "^"};
	int low = 255, high = 0, value, level;

	for (int i = 0; i < v->trend_len; i++) {
		low = v->trend[i] < low ? v->trend[i] : low;
		high = v->trend[i] > high ? v->trend[i] : high;
	}
	go_to(sc, row, 3);
	put(sc, "%-17s", "Trend");
	colour(sc, "36");
	for (int i = 0; i < BAR_WIDTH; i++) {
		value = v->trend_len ? v->trend[(size_t)i * (size_t)v->trend_len / BAR_WIDTH] : 0;
		level = high > low ? (value - low) * 7 / (high - low) : 3;
		put(sc, "%s", v->trend_len ? (sc->utf8 ? steps : ascii)[level] : " ");
	}
	colour(sc, "0");
}

static void draw(struct screen *sc, const struct view *v)
{
	unsigned int seconds = (unsigned int)((session_now_ns() - sc->start_ns) / 1000000000);
	const char *battery_tint = v->battery < 20 ? "31" : v->battery < 40 ? "33" : "32";
	const char *heat_tint = v->temperature > 80 ? "31" : v->temperature > 60 ? "33" : "36";

	draw_bar(sc, 2, "Battery left", v->battery, "%", battery_tint);
	draw_bar(sc, 4, "CPU temperature", v->temperature, sc->utf8 ? "°C" : "C", heat_tint);
	draw_trend(sc, 6, v);
	go_to(sc, 8, 3);
	colour(sc, "2");
	put(sc, "%02u:%02u  turn %-12llu %-8s", seconds / 60, seconds % 60,
	    (unsigned long long)v->totals.turns, v->paused ? "paused" : "");
	go_to(sc, 8, BOX_WIDTH - 21);
	put(sc, "p pause     q quit");
	colour(sc, "0");
	flush_out(sc);
}

/* Looks up the size of the terminal, centres the box and draws what never changes. */
static void resize(struct screen *sc)
{
	struct winsize size = {.ws_row = 24, .ws_col = 80};

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	sc->rows = size.ws_row;
	sc->cols = size.ws_col;
	sc->top = sc->rows > BOX_HEIGHT ? (sc->rows - BOX_HEIGHT) / 2 + 1 : 1;
	sc->left = sc->cols > BOX_WIDTH ? (sc->cols - BOX_WIDTH) / 2 + 1 : 1;
	put(sc, "\033[2J");
	draw_box(sc);
}

static void enter(struct screen *sc)
{
	const char *no_colour = getenv("NO_COLOR");
	struct termios raw;

	sc->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	sc->colour = !no_colour || !*no_colour;
	sc->start_ns = session_now_ns();
	tcgetattr(STDIN_FILENO, &sc->before);
	raw = sc->before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	raw.c_cc[VSUSP] = _POSIX_VDISABLE;
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	/* Alternate screen, no cursor, no line wrap. */
	put(sc, "\033[?1049h\033[?25l\033[?7l");
	resize(sc);
}

static void leave(struct screen *sc)
{
	put(sc, "\033[?7h\033[?25h\033[?1049l");
	flush_out(sc);
	tcsetattr(STDIN_FILENO, TCSANOW, &sc->before);
}

/* False: the user wants to quit, or the terminal is gone. */
static bool handle_keys(struct session *s, const struct view *v)
{
	char keys[64];
	ssize_t len = read(STDIN_FILENO, keys, sizeof(keys));

	if (len <= 0)
		return len < 0 && errno == EINTR;
	if (keys[0] == '\033' && len > 1) /* an arrow or function key */
		return true;
	for (ssize_t i = 0; i < len; i++) {
		if (keys[i] == 'q' || keys[i] == 'Q' || keys[i] == '\033' || keys[i] == 4)
			return false;
		if (keys[i] == 'p' || keys[i] == ' ') {
			if (v->paused)
				meter_go(s->meter);
			else
				meter_pause(s->meter, true);
		}
	}
	return true;
}

void screen_run(struct session *s)
{
	static struct screen sc;
	struct pollfd fds[] = {
		{.fd = s->signal_fd, .events = POLLIN},
		{.fd = STDIN_FILENO, .events = POLLIN},
	};
	struct view view;
	uint64_t wake_ns;

	enter(&sc);
	for (;;) {
		meter_look(s->meter, &view);
		draw(&sc, &view);
		wake_ns = session_now_ns() + REDRAW_NS;
		if (s->end_ns && s->end_ns < wake_ns)
			wake_ns = s->end_ns;
		if (poll(fds, 2, session_poll_ms(wake_ns)) < 0 && errno != EINTR)
			break;
		if (s->end_ns && session_now_ns() >= s->end_ns)
			break;
		if (fds[0].revents) {
			if (session_told_to_end(s))
				break;
			resize(&sc);
		}
		if (fds[1].revents && !handle_keys(s, &view))
			break;
	}
	leave(&sc);
}
