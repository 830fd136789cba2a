/* See stack_slots.h. */
#include "cmd/stack_slots.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "cmd/symbolize.h"
#include "model/lines.h"
#include "model/snapshot.h"
#include "sym/unwind.h"
#include "target/registers.h"
#include "target/target.h"

#define FRAMES_MAX 4096 /* deeper calls are not named */
#define REGISTERS_MAX 64
/* Below its stack pointer a function that calls nobody may use this much (System V ABI, x86-64). */
#define RED_ZONE 128

struct calls {
	struct unwind_frame *frames;
	size_t nr;
};

struct stack_slots {
	const struct snapshot *snapshot;
	struct target *target;
	struct variables *variables;
	struct map by_tid; /* index + 1 into items */
	struct calls *items;
	size_t nr, cap;
};

struct stack_slots *stack_slots_new(const struct snapshot *s, struct target *t, struct variables *v)
{
	struct stack_slots *slots = mem_alloc(sizeof(*slots));

	slots->snapshot = s;
	slots->target = t;
	slots->variables = v;
	return slots;
}

void stack_slots_free(struct stack_slots *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->nr; i++)
		free(s->items[i].frames);
	free(s->items);
	map_release(&s->by_tid);
	free(s);
}

static bool read_word(void *arg, uint64_t addr, uint64_t *ret)
{
	return target_read_word(arg, addr, ret);
}

static const struct target_thread *find_thread(const struct stack_slots *s, int32_t tid)
{
	size_t nr;
	const struct target_thread *threads = target_threads(s->target, &nr);

	for (size_t i = 0; i < nr; i++) {
		if (threads[i].tid == tid)
			return &threads[i];
	}
	return NULL;
}

static struct calls find_calls(struct stack_slots *s, int32_t tid)
{
	const struct target_thread *thread = find_thread(s, tid);
	uint64_t registers[REGISTERS_MAX];
	struct unwind_thread unwind = {
		.tid = tid, .registers = registers, .read = read_word, .arg = s->target};
	struct calls c = {.frames = NULL};

	if (!thread || !thread->has_registers || tid <= 0)
		return c;
	unwind.nr_registers =
		registers_by_dwarf(thread, registers, REGISTERS_MAX, &unwind.stack_register);
	if (!unwind.nr_registers)
		return c;
	c.frames = mem_alloc_array(FRAMES_MAX, sizeof(*c.frames));
	c.nr = sym_unwind(variables_sym(s->variables), &unwind, c.frames, FRAMES_MAX);
	c.frames = mem_realloc(c.frames, (c.nr ? c.nr : 1) * sizeof(*c.frames));
	if (c.nr && c.frames[0].sp >= RED_ZONE)
		c.frames[0].sp -= RED_ZONE;
	return c;
}

static const struct calls *calls_of(struct stack_slots *s, int32_t tid)
{
	bool added;
	uint64_t *at = map_at(&s->by_tid, (uint32_t)tid, &added);

	if (added) {
		ARRAY_PUSH(s->items, s->nr, s->cap, find_calls(s, tid));
		*at = s->nr;
	}
	return &s->items[*at - 1];
}

static const struct unwind_frame *find_frame(const struct calls *c, uint64_t addr)
{
	size_t low = 0, high = c->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c->frames[middle].sp <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	/* Where the last one ends is not known. */
	return low && addr < c->frames[low - 1].end ? &c->frames[low - 1] : NULL;
}

void stack_slots_describe(struct stack_slots *s, int32_t tid, uint64_t addr, struct str *out)
{
	const struct unwind_frame *frame = find_frame(calls_of(s, tid), addr);
	const struct sym_frame *names, *real;
	uint32_t module;
	const char *path;
	size_t nr;

	if (!frame)
		return;
	module = snapshot_find_module(s->snapshot, frame->pc);
	nr = sym_resolve(variables_sym(s->variables), module == NO_INDEX ? -1 : (int)module,
			 frame->pc, &names);
	real = nr ? &names[nr - 1] : NULL;
	if (real && *real->function) {
		str_add(out, ", in ");
		text_printable(out, real->function, strlen(real->function));
		str_printf(out, "+0x%x", real->offset);
	} else if (module != NO_INDEX) {
		path = text_base_name(
			strings_get(&s->snapshot->strings, s->snapshot->modules[module].path));
		str_add(out, ", in ");
		text_printable(out, path, strlen(path));
		str_printf(out, "+0x%" PRIx64, frame->pc - s->snapshot->modules[module].bias);
	}
	if (real && *real->file) {
		str_add(out, " (");
		text_printable(out, text_base_name(real->file), strlen(text_base_name(real->file)));
		str_printf(out, ":%u)", real->line);
	}
}
