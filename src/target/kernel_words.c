/* Words that the kernel keeps for a process; see kernel_words.h. */
#include "target/kernel_words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "target/proc.h"

static const char *next_line(const char *p)
{
	const char *end = strchr(p, '\n');

	return end ? end + 1 : p + strlen(p);
}

/* From the text itself; appends. */
static void parse_epoll(const char *fdinfo, int32_t epoll_fd, struct kernel_word **items,
			size_t *nr, size_t *cap)
{
	for (const char *p = fdinfo; *p; p = next_line(p)) {
		unsigned long long data;
		int fd;

		if (sscanf(p, "tfd: %d events: %*x data: %llx", &fd, &data) != 2)
			continue;
		ARRAY_PUSH(*items, *nr, *cap,
			   ((struct kernel_word){.kind = KERNEL_WORD_EPOLL,
						 .number = epoll_fd,
						 .fd = fd,
						 .value = data}));
	}
}

static void parse_timers(const char *timers, struct kernel_word **items, size_t *nr, size_t *cap)
{
	int id = -1;

	for (const char *p = timers; *p; p = next_line(p)) {
		unsigned long long value;

		if (sscanf(p, "ID: %d", &id) == 1)
			continue;
		/* signal: NUMBER/VALUE, the value in hexadecimal without 0x. */
		if (sscanf(p, "signal: %*d/%llx", &value) != 1)
			continue;
		ARRAY_PUSH(*items, *nr, *cap,
			   ((struct kernel_word){.kind = KERNEL_WORD_TIMER,
						 .number = id,
						 .fd = -1,
						 .value = value}));
	}
}

static int read_epolls(int dir, struct kernel_word **items, size_t *nr, size_t *cap)
{
	int32_t *fds;
	size_t nr_fds;
	int err = proc_list_numbers(dir, "fd", &fds, &nr_fds);

	if (err < 0)
		return err;
	for (size_t i = 0; i < nr_fds; i++) {
		struct str text = STR_INIT;
		char name[32], *link;

		snprintf(name, sizeof(name), "fd/%d", fds[i]);
		if (proc_read_link(dir, name, &link) < 0)
			continue;
		snprintf(name, sizeof(name), "fdinfo/%d", fds[i]);
		if (strcmp(link, "anon_inode:[eventpoll]") == 0 &&
		    proc_read_file(dir, name, &text) == 0)
			parse_epoll(text.data, fds[i], items, nr, cap);
		str_release(&text);
		free(link);
	}
	free(fds);
	return 0;
}

int kernel_words_read(int dir, struct kernel_word **ret, size_t *ret_nr)
{
	struct kernel_word *items = NULL;
	size_t nr = 0, cap = 0;
	struct str text = STR_INIT;
	int err = read_epolls(dir, &items, &nr, &cap);

	if (err == -ESRCH) {
		free(items);
		return err;
	}
	if (proc_read_file(dir, "timers", &text) == 0)
		parse_timers(text.data, &items, &nr, &cap);
	str_release(&text);
	*ret = items;
	*ret_nr = nr;
	return 0;
}
