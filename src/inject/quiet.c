/*
 * See quiet.h. When a thread ends, glibc (malloc/malloc.c, tcache_thread_shutdown) frees by free()
 * the blocks in its cache. In a library that code has no name: there all of libc is taken, whose
 * frees of blocks from before are then not counted either.
 */
#include "inject/quiet.h"

#include <string.h>
#include <unistd.h>

#include "inject/entries.h"
#include "inject/symbols.h"
#include "target/module_file.h"
#include "target/target.h"
#include "wire/blob.h"

static const char shutdown_name[] = "__malloc_arena_thread_freeres";

static void take(void *arg, const struct symbol *s)
{
	struct wire_blob *b = arg;

	if (strcmp(s->name, shutdown_name))
		return;
	b->quiet_start = s->addr;
	b->quiet_bytes = s->size;
}

static void find_in_program(struct target *t, struct wire_blob *b)
{
	static const char *const more[] = {shutdown_name, NULL};
	const struct target_module *m = target_main_module(t);
	int fd = m ? module_file_open(t, m) : -1;

	if (fd < 0)
		return;
	symbols_each(fd, more, take, b);
	close(fd);
	if (b->quiet_bytes)
		b->quiet_start += m->bias;
}

void quiet_find(struct target *t, const struct entries *entries, struct wire_blob *b)
{
	const struct target_module *m;

	if (strcmp(entries->allocator, "glibc"))
		return;
	if (!entries->has_loader) {
		find_in_program(t, b);
		return;
	}
	m = target_find_module(t, entries->allocator_addr);
	if (!m)
		return;
	b->quiet_start = m->start;
	b->quiet_bytes = m->end - m->start;
}
