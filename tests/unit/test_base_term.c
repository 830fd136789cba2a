/* base/term and base/progress on a terminal of our own (a pseudo-terminal). */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/progress.h"
#include "base/term.h"

struct terminal {
	int master, slave;
};

static int open_terminal(void **state)
{
	struct terminal *t = mem_alloc(sizeof(*t));

	t->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (t->master < 0 || grantpt(t->master) < 0 || unlockpt(t->master) < 0)
		return -1;
	t->slave = open(ptsname(t->master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	*state = t;
	return t->slave < 0 ? -1 : 0;
}

static int close_terminal(void **state)
{
	struct terminal *t = *state;

	close(t->slave);
	close(t->master);
	free(t);
	return 0;
}

static bool coloured(int fd, enum colour_mode mode)
{
	return *term_palette(fd, mode)->bad != '\0';
}

static void colour_follows_terminal_and_environment(void **state)
{
	struct terminal *t = *state;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	unsetenv("NO_COLOR");
	setenv("TERM", "xterm", 1);
	assert_true(coloured(t->slave, COLOUR_AUTO));
	assert_false(coloured(null, COLOUR_AUTO));
	assert_true(coloured(null, COLOUR_ALWAYS));
	assert_false(coloured(t->slave, COLOUR_NEVER));

	setenv("NO_COLOR", "1", 1);
	assert_false(coloured(t->slave, COLOUR_AUTO));
	assert_true(coloured(t->slave, COLOUR_ALWAYS));
	setenv("NO_COLOR", "", 1);
	assert_true(coloured(t->slave, COLOUR_AUTO));

	setenv("TERM", "dumb", 1);
	assert_false(coloured(t->slave, COLOUR_AUTO));
	unsetenv("TERM");
	assert_false(coloured(t->slave, COLOUR_AUTO));
	close(null);
}

static void width_is_asked_of_the_terminal(void **state)
{
	struct terminal *t = *state;
	struct winsize size = {.ws_row = 24, .ws_col = 133};

	unsetenv("COLUMNS");
	assert_int_equal(term_width(-1, 80), 80);
	assert_int_equal(term_width(t->slave, 80),
			 80); /* 0 columns: a terminal that does not know */
	assert_int_equal(ioctl(t->master, TIOCSWINSZ, &size), 0);
	assert_int_equal(term_width(t->slave, 80), 133);
	setenv("COLUMNS", "60", 1);
	assert_int_equal(term_width(t->slave, 80), 60);
	setenv("COLUMNS", "many", 1);
	assert_int_equal(term_width(t->slave, 80), 133);
}

static void assert_written(struct terminal *t, const char *expected)
{
	char got[256];
	ssize_t n = read(t->master, got, sizeof(got) - 1);

	assert_true(n > 0);
	got[n] = '\0';
	assert_string_equal(got, expected);
}

static void progress_is_shown_when_work_is_long(void **state)
{
	struct terminal *t = *state;
	struct progress p;
	int waiting = -1;

	progress_start(&p, t->slave, "reading blocks", 200);
	progress_step(&p, 10);
	assert_int_equal(ioctl(t->master, FIONREAD, &waiting), 0);
	assert_int_equal(waiting, 0);

	p.start_ns = 0; /* as if it had begun when the machine did */
	progress_step(&p, 74);
	assert_written(t, "\r\033[Kreading blocks  42 %");
	progress_end(&p);
	assert_written(t, "\r\033[K");
	assert_int_equal(p.done, 84);
}

static void progress_without_a_total_counts(void **state)
{
	struct terminal *t = *state;
	struct progress p;

	progress_start(&p, t->slave, "walking", 0);
	p.start_ns = 0;
	progress_step(&p, 1234567);
	assert_written(t, "\r\033[Kwalking  1,234,567");
	progress_end(&p);
	assert_written(t, "\r\033[K");
}

#define ON_TERMINAL(test) cmocka_unit_test_setup_teardown(test, open_terminal, close_terminal)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_TERMINAL(colour_follows_terminal_and_environment),
		ON_TERMINAL(width_is_asked_of_the_terminal),
		ON_TERMINAL(progress_is_shown_when_work_is_long),
		ON_TERMINAL(progress_without_a_total_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
