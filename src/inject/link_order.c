/* The loader's list of modules, <link.h>: struct r_debug and struct link_map; see link_order.h. */
#include "inject/link_order.h"

#include <link.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"
#include "target/target.h"

#define LINKS_MAX 100000

struct order {
	size_t *items, nr;
	bool *taken;
};

static void take(struct order *o, size_t i)
{
	if (!o->taken[i])
		o->items[o->nr++] = i;
	o->taken[i] = true;
}

static void take_dynamic(struct order *o, const struct target_module *modules, size_t nr,
			 uint64_t dynamic)
{
	for (size_t i = 0; i < nr; i++) {
		if (modules[i].dynamic == dynamic) {
			take(o, i);
			return;
		}
	}
}

size_t *link_order(struct target *t, uint64_t r_debug, size_t *ret_listed)
{
	size_t nr;
	const struct target_module *modules = target_modules(t, &nr);
	struct order o = {
		.items = mem_alloc_array(nr, sizeof(*o.items)),
		.taken = mem_alloc_array(nr, sizeof(*o.taken)),
	};
	struct r_debug debug;
	struct link_map map;
	uint64_t at = 0;

	if (r_debug && target_read_all(t, r_debug, &debug, sizeof(debug)))
		at = (uintptr_t)debug.r_map;
	for (size_t i = 0; at && i < LINKS_MAX; i++) {
		if (!target_read_all(t, at, &map, sizeof(map)))
			break;
		if (map.l_ld)
			take_dynamic(&o, modules, nr, (uintptr_t)map.l_ld);
		at = (uintptr_t)map.l_next;
	}
	*ret_listed = o.nr;
	for (size_t i = 0; i < nr; i++) {
		if (modules[i].flags & TARGET_MODULE_MAIN)
			take(&o, i);
	}
	for (size_t i = 0; i < nr; i++)
		take(&o, i);
	free(o.taken);
	return o.items;
}
