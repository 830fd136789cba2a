/*
 * Modules as the recorder meets them, and what an unload invalidates.
 *
 * Nodes of the stack tree keep plain addresses; when a module goes away its nodes are retired: the
 * module's number goes into the upper bits of their pc, so they keep their meaning and a later
 * module at the same address gets nodes of its own.
 */
#include "modules.h"

#include "bytes.h"
#include "cfi.h"
#include "loaded.h"

static struct wire_module *find_registered(struct wire_header *h, uint64_t addr)
{
	uint32_t nr = __atomic_load_n(&h->modules_nr, __ATOMIC_ACQUIRE);

	for (uint32_t i = 0; i < nr && i < h->modules_cap; i++) {
		struct wire_module *m = &rec_places.modules[i];

		if (__atomic_load_n(&m->state, __ATOMIC_ACQUIRE) == WIRE_MODULE_LOADED &&
		    addr >= m->start && addr < m->end)
			return m;
	}
	return NULL;
}

/* Retires the nodes in [start, end): module number i takes them along. */
static void retire_nodes(struct wire_header *h, uint32_t i, uint64_t start, uint64_t end)
{
	uint32_t nr = __atomic_load_n(&h->nodes_nr, __ATOMIC_ACQUIRE);

	for (uint32_t id = WIRE_NODE_FIRST; id < nr; id++) {
		struct wire_node *n = &rec_places.nodes[id];

		/* pc - 1: a call may be a function's, and a module's, last instruction */
		if (n->pc - 1 >= start && n->pc - 1 < end)
			__atomic_store_n(&n->pc, n->pc | (uint64_t)(i + 1) << WIRE_PC_BITS,
					 __ATOMIC_RELAXED);
	}
}

static void retire(struct wire_header *h, struct wire_module *m)
{
	uint32_t i = (uint32_t)(m - rec_places.modules);

	m->state = WIRE_MODULE_UNLOADED;
	retire_nodes(h, i, m->start, m->end);
}

/* What tells a module from another; without its path, which is long for a program's stack. */
struct mark {
	uint64_t start, end, bias;
	uint8_t build_id[20];
	uint8_t build_id_len;
};

/* The same file, back at the same place: its retired nodes are in use again. */
static bool revive(struct wire_header *h, const struct mark *like)
{
	uint32_t nr = __atomic_load_n(&h->modules_nr, __ATOMIC_ACQUIRE), nodes;

	for (uint32_t i = 0; i < nr && i < h->modules_cap; i++) {
		struct wire_module *m = &rec_places.modules[i];
		uint64_t tag = (uint64_t)(i + 1) << WIRE_PC_BITS;

		if (m->state != WIRE_MODULE_UNLOADED || m->start != like->start ||
		    m->end != like->end || m->bias != like->bias || !m->build_id_len ||
		    m->build_id_len != like->build_id_len ||
		    !bytes_equal(m->build_id, like->build_id, m->build_id_len))
			continue;
		nodes = __atomic_load_n(&h->nodes_nr, __ATOMIC_ACQUIRE);
		for (uint32_t id = WIRE_NODE_FIRST; id < nodes; id++) {
			struct wire_node *n = &rec_places.nodes[id];

			if ((n->pc & ~WIRE_PC_MASK) == tag)
				__atomic_store_n(&n->pc, n->pc & WIRE_PC_MASK, __ATOMIC_RELAXED);
		}
		__atomic_store_n(&m->state, WIRE_MODULE_LOADED, __ATOMIC_RELEASE);
		return true;
	}
	return false;
}

/* Every thread's cached stack and records, and every rule, may speak of code that is gone. */
static void new_epoch(struct wire_header *h)
{
	rules_flush();
	if (__atomic_add_fetch(&h->epoch, 1, __ATOMIC_RELEASE) == 0)
		__atomic_add_fetch(&h->epoch, 1, __ATOMIC_RELEASE);
}

static struct mark mark_of(const struct loaded *f)
{
	struct mark m = {.start = f->start, .end = f->end, .bias = f->bias};

	m.build_id_len = loaded_build_id(f, m.build_id, sizeof(m.build_id));
	return m;
}

static void describe(const struct loaded *f, const struct mark *mark, struct wire_module *m)
{
	m->start = mark->start;
	m->end = mark->end;
	m->bias = mark->bias;
	m->build_id_len = mark->build_id_len;
	bytes_copy(m->build_id, mark->build_id, sizeof(m->build_id));
	text_copy(m->path, loaded_path(f), sizeof(m->path));
	m->is_main = !m->path[0];
	m->is_recorder = (uint64_t)&rec_gate >= m->start && (uint64_t)&rec_gate < m->end;
	m->is_allocator = m->start <= rec_allocator_addr && rec_allocator_addr < m->end;
}

bool modules_appeared(struct wire_header *h, uint64_t pc)
{
	if (!loaded_more(pc))
		return false;
	new_epoch(h);
	return true;
}

static COLD void add_module(struct wire_header *h, const struct loaded *f)
{
	struct mark mark = mark_of(f);
	uint32_t i;

	loaded_seen(f);
	if (revive(h, &mark))
		return;
	i = __atomic_load_n(&h->modules_nr, __ATOMIC_RELAXED);
	do {
		if (i >= h->modules_cap)
			return;
	} while (!__atomic_compare_exchange_n(&h->modules_nr, &i, i + 1, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	describe(f, &mark, &rec_places.modules[i]);
	__atomic_store_n(&rec_places.modules[i].state, WIRE_MODULE_LOADED, __ATOMIC_RELEASE);
}

static bool is_still(const struct wire_module *m, const struct loaded *f)
{
	return m->start == f->start && m->end == f->end && m->bias == f->bias;
}

const uint8_t *modules_unwind_info(struct wire_header *h, uint64_t addr)
{
	struct loaded f;
	struct wire_module *m;

	if (!loaded_find(addr, &f))
		return NULL;
	m = find_registered(h, addr);
	if (m && !is_still(m, &f)) {
		/* An unload that we were not told of (glibc unloads iconv modules by itself). */
		retire(h, m);
		new_epoch(h);
		m = NULL;
	}
	if (!m)
		add_module(h, &f);
	return f.eh_frame_hdr;
}

/* Unloads under way, in several threads at once. */
static uint32_t unloading;

void modules_unloading(struct wire_header *h)
{
	__atomic_fetch_add(&unloading, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_or(&h->slow, WIRE_SLOW_UNLOAD, __ATOMIC_SEQ_CST);
}

void modules_unloaded(struct wire_header *h)
{
	uint32_t nr = __atomic_load_n(&h->modules_nr, __ATOMIC_ACQUIRE);
	bool any = false;

	if (!rec_use_begin(h))
		return;
	loaded_less();
	for (uint32_t i = 0; i < nr && i < h->modules_cap; i++) {
		struct wire_module *m = &rec_places.modules[i];
		struct loaded f;

		if (m->state != WIRE_MODULE_LOADED)
			continue;
		if (loaded_find(m->start, &f) && m->start == f.start && m->bias == f.bias)
			continue;
		retire(h, m);
		any = true;
	}
	if (any || nr >= h->modules_cap)
		new_epoch(h);
	if (__atomic_sub_fetch(&unloading, 1, __ATOMIC_SEQ_CST) == 0) {
		__atomic_fetch_and(&h->slow, ~(uint32_t)WIRE_SLOW_UNLOAD, __ATOMIC_SEQ_CST);
		/* Somebody may have begun in between. */
		if (__atomic_load_n(&unloading, __ATOMIC_SEQ_CST))
			__atomic_fetch_or(&h->slow, WIRE_SLOW_UNLOAD, __ATOMIC_SEQ_CST);
	}
	rec_use_end();
}

void modules_forget(void)
{
	__atomic_store_n(&unloading, 0, __ATOMIC_RELAXED);
	rules_flush();
}
