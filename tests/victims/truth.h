/*
 * How a victim tells the truth: it counts its own allocations beside making them and prints the
 * counts as one line of JSON on standard output. A test compares them with what a tool says.
 *
 * The rules, which the recorder follows too:
 *   - A site is the function that makes the call; its name is in every stack of its blocks.
 *   - Bytes are what the program asked for: n * size for calloc, the size without the alignment for
 *     the aligned forms, the argument for pvalloc.
 *   - A freed block counts as freed at the site that allocated it.
 *   - realloc that succeeds frees the old block and allocates a new one at the site of the call;
 *     with size 0 and result NULL it only frees. A call that fails counts nothing.
 *
 * Nothing here allocates. Counting is atomic, so threads may share a site.
 *
 * With the argument --wait a victim stops at each truth_wait() until it reads a line (or the end of
 * its standard input), so that a test can look at it while it stands still.
 */
#ifndef SEEP_VICTIM_TRUTH_H
#define SEEP_VICTIM_TRUTH_H

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))
#define TRUTH_UNUSED __attribute__((unused))
#define SKIPPED 77 /* exit status of a victim that cannot do its job on this machine */

struct truth_site {
	const char *name;
	int only_live; /* libc decides on the way there; what stays is exact */
	uint64_t allocated_blocks, allocated_bytes;
	uint64_t freed_blocks, freed_bytes;
};

static struct truth_site truth_sites[64];
static unsigned int truth_site_count;
static unsigned int truth_failures;
static char truth_notes[2048];

/* Makes the compiler believe that `p` and all memory are used here. */
static inline void truth_touch(const void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

/* A number that the compiler cannot see through: no warnings, no clever removal of calls. */
static inline size_t opaque(size_t n)
{
	__asm__ volatile("" : "+r"(n));
	return n;
}

/* The counters of a function. Look them up before threads share them. */
static TRUTH_UNUSED struct truth_site *truth_at(const char *name)
{
	struct truth_site *s = truth_sites;

	while (s < truth_sites + truth_site_count && strcmp(s->name, name) != 0)
		s++;
	if (s == truth_sites + truth_site_count) {
		s->name = name;
		truth_site_count++;
	}
	return s;
}

/* Counts a block that `s` allocated, if it did; returns it. */
static TRUTH_UNUSED void *truth_born(struct truth_site *s, void *p, size_t size)
{
	truth_touch(p);
	if (p) {
		__atomic_add_fetch(&s->allocated_blocks, 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&s->allocated_bytes, size, __ATOMIC_RELAXED);
	}
	return p;
}

/* Counts a block of `s` that has been or is about to be freed. */
static TRUTH_UNUSED void truth_died(struct truth_site *s, size_t size)
{
	__atomic_add_fetch(&s->freed_blocks, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&s->freed_bytes, size, __ATOMIC_RELAXED);
}

/* A forked child starts to count anew: what it inherited is not its own. */
static TRUTH_UNUSED void truth_forget(void)
{
	for (unsigned int i = 0; i < truth_site_count; i++) {
		truth_sites[i].allocated_blocks = truth_sites[i].allocated_bytes = 0;
		truth_sites[i].freed_blocks = truth_sites[i].freed_bytes = 0;
	}
}

/* Something the allocator owes the program; a failure is told on stderr and counted. */
static TRUTH_UNUSED void truth_check(int good, const char *what)
{
	if (good)
		return;
	__atomic_add_fetch(&truth_failures, 1, __ATOMIC_RELAXED);
	dprintf(STDERR_FILENO, "victim: not true: %s\n", what);
}

/* Adds a member to the line: `format` gives its JSON value. */
static TRUTH_UNUSED __attribute__((format(printf, 2, 3))) void truth_note(const char *key,
									  const char *format, ...)
{
	size_t len = strlen(truth_notes), room = sizeof(truth_notes) - len;
	va_list args;
	int used = snprintf(truth_notes + len, room, ",\"%s\":", key);

	va_start(args, format);
	if (used > 0 && (size_t)used < room)
		vsnprintf(truth_notes + len + used, room - (size_t)used, format, args);
	va_end(args);
}

static TRUTH_UNUSED size_t truth_counts(char *out, size_t room, const struct truth_site *s)
{
	int len = snprintf(out, room,
			   "\"allocated_blocks\":%" PRIu64 ",\"allocated_bytes\":%" PRIu64
			   ",\"freed_blocks\":%" PRIu64 ",\"freed_bytes\":%" PRIu64
			   ",\"live_blocks\":%" PRIu64 ",\"live_bytes\":%" PRIu64,
			   s->allocated_blocks, s->allocated_bytes, s->freed_blocks, s->freed_bytes,
			   s->allocated_blocks - s->freed_blocks,
			   s->allocated_bytes - s->freed_bytes);

	return len > 0 && (size_t)len < room ? (size_t)len : 0;
}

/* Prints the line; `at` names the moment. Never allocates. */
static TRUTH_UNUSED void truth_print(const char *program, const char *at)
{
	static char line[24 * 1024];
	struct truth_site sum;
	size_t len, room = sizeof(line), done = 0;
	ssize_t n;

	memset(&sum, 0, sizeof(sum));
	len = (size_t)snprintf(line, room,
			       "{\"program\":\"%s\",\"pid\":%d,\"at\":\"%s\",\"sites\":[", program,
			       (int)getpid(), at);
	for (unsigned int i = 0; i < truth_site_count; i++) {
		const struct truth_site *s = &truth_sites[i];

		len += (size_t)snprintf(line + len, room - len, "%s{\"site\":\"%s\",%s",
					i ? "," : "", s->name,
					s->only_live ? "\"only_live\":true," : "");
		len += truth_counts(line + len, room - len, s);
		line[len++] = '}';
		sum.allocated_blocks += s->allocated_blocks;
		sum.allocated_bytes += s->allocated_bytes;
		sum.freed_blocks += s->freed_blocks;
		sum.freed_bytes += s->freed_bytes;
	}
	len += (size_t)snprintf(line + len, room - len, "],\"totals\":{");
	len += truth_counts(line + len, room - len, &sum);
	len += (size_t)snprintf(line + len, room - len, "}%s,\"failures\":%u}\n", truth_notes,
				truth_failures);
	while (done < len) {
		n = write(STDOUT_FILENO, line + done, len - done);
		if (n < 0 && errno != EINTR)
			return;
		done += n > 0 ? (size_t)n : 0;
	}
}

/* With --wait among the arguments: stands still until a line or the end of the input comes. */
static TRUTH_UNUSED void truth_wait(int argc, char **argv)
{
	char c = 0;
	ssize_t n;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--wait") != 0)
			continue;
		do {
			n = read(STDIN_FILENO, &c, 1);
		} while ((n == 1 && c != '\n') || (n < 0 && errno == EINTR));
		return;
	}
}

/* Reads a command, without its newline and without stdio; 0: there is none, or no room for it. */
static TRUTH_UNUSED int truth_line(char *line, size_t room)
{
	size_t len = 0;

	while (len + 1 < room && read(STDIN_FILENO, &line[len], 1) == 1) {
		if (line[len] == '\n') {
			line[len] = '\0';
			return 1;
		}
		len++;
	}
	return 0;
}

/* The exit status that fits. */
static TRUTH_UNUSED int truth_status(void)
{
	return truth_failures ? 1 : 0;
}

#endif
