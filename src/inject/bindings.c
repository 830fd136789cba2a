/* See bindings.h; the order is that of glibc 2.36 elf/dl-lookup.c, do_lookup_x(). */
#include "inject/bindings.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"
#include "inject/link_order.h"
#include "target/target.h"

#define VERSIONS_MAX 4
#define NOWHERE SIZE_MAX

void bindings_open(struct bindings *b, struct target *t, uint64_t r_debug)
{
	size_t nr;
	const struct target_module *modules = target_modules(t, &nr);

	*b = (struct bindings){.target = t, .libc = NOWHERE};
	b->order = link_order(t, r_debug, &b->nr_listed);
	b->exports = mem_alloc_array(b->nr_listed, sizeof(*b->exports));
	for (size_t i = 0; i < b->nr_listed; i++) {
		exports_open(&b->exports[i], t, &modules[b->order[i]]);
		if (b->libc == NOWHERE && exports_has(&b->exports[i], "gnu_get_libc_version"))
			b->libc = i;
	}
}

void bindings_release(struct bindings *b)
{
	for (size_t i = 0; i < b->nr_listed; i++)
		exports_release(&b->exports[i]);
	free(b->exports);
	free(b->order);
}

/* The one address that a module has under this name; 0: none, or several. */
static uint64_t only_address(struct exports *x, const char *name, bool *ret_has)
{
	struct export e[VERSIONS_MAX];
	size_t nr = exports_find(x, name, e, VERSIONS_MAX);

	*ret_has = nr != 0;
	for (size_t i = 0; i < nr; i++)
		if (e[i].addr != e[0].addr || e[i].is_chosen)
			return 0;
	return nr ? e[0].addr : 0;
}

/* Came with the program, and looks for symbols as all do. */
static bool is_ordinary(const struct bindings *b, size_t m)
{
	for (size_t i = 0; i < b->nr_listed && b->libc != NOWHERE && i <= b->libc; i++)
		if (b->order[i] == m)
			return !b->exports[i].looks_at_itself;
	return false;
}

static bool is_listed(const struct bindings *b, size_t m)
{
	for (size_t i = 0; i < b->nr_listed; i++)
		if (b->order[i] == m)
			return true;
	return false;
}

uint64_t bindings_find(struct bindings *b, size_t m, const char *name)
{
	size_t first = NOWHERE, nr = 0;
	uint64_t addr = 0;

	if (!is_listed(b, m))
		return 0;
	for (size_t i = 0; i < b->nr_listed; i++) {
		bool has;
		uint64_t found = only_address(&b->exports[i], name, &has);

		if (!has)
			continue;
		if (!nr++) {
			first = i;
			addr = found;
		}
	}
	if (nr == 1)
		return addr;
	/* Of several, one with versions may be passed over. */
	return nr && first <= b->libc && is_ordinary(b, m) && !b->exports[first].has_versions ? addr
											      : 0;
}
