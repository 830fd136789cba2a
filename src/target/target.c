/* One thing to look at: what all kinds have in common; see target.h. */
#include "target/target.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "target/smaps.h"
#include "target/target_private.h"

#define TEXT_PIECE 256
#define PAGE_BYTES 4096ull

struct target *target_new(void)
{
	return mem_alloc(sizeof(struct target));
}

struct target_thread *target_add_thread(struct target *t, int32_t tid, const char *name)
{
	struct target_thread *thread;

	ARRAY_GROW(t->threads, t->nr_threads, t->cap_threads);
	thread = &t->threads[t->nr_threads++];
	memset(thread, 0, sizeof(*thread));
	thread->tid = tid;
	snprintf(thread->name, sizeof(thread->name), "%s", name);
	return thread;
}

void target_set_registers(struct target_thread *thread, const void *bytes, size_t len)
{
	uint8_t *copy = mem_alloc(len);

	memcpy(copy, bytes, len);
	free((void *)thread->registers);
	thread->registers = copy;
	thread->registers_bytes = len;
}

bool target_has_ended(const struct target *t)
{
	return t->ops->has_ended && t->ops->has_ended(t);
}

void target_thaw(struct target *t)
{
	if (t->ops && t->ops->thaw)
		t->ops->thaw(t);
}

static void forget_threads(struct target *t)
{
	for (size_t i = 0; i < t->nr_threads; i++) {
		target_release_raw_registers(&t->threads[i]);
		free((void *)t->threads[i].registers);
	}
	free(t->threads);
	t->threads = NULL;
	t->nr_threads = t->cap_threads = 0;
}

void target_close(struct target *t)
{
	if (!t)
		return;
	target_thaw(t);
	if (t->ops)
		t->ops->close(t);
	forget_threads(t);
	free(t->modules);
	maps_release(&t->maps);
	process_info_release(&t->process);
	free(t);
}

int target_read_maps(struct target *t, int dir)
{
	int err;

	if (!t->use)
		return maps_read_at(dir, &t->maps);
	err = smaps_read_at(dir, t->use);
	if (!err)
		smaps_take_maps(t->use, &t->maps);
	return err;
}

/* A way that failed may have filled these already; what it says in how stays. */
static void begin_again(struct target *t)
{
	forget_threads(t);
	maps_release(&t->maps);
	t->maps = (struct maps)MAPS_INIT;
	if (t->use) {
		smaps_release(t->use);
		*t->use = (struct smaps){.items = NULL};
	}
}

static int attach(struct target *t, enum target_wish wish, struct error *e)
{
	struct error stop_error = {0};
	int err;

	switch (wish) {
	case TARGET_WISH_LIVE:
		return target_live_attach(t, e);
	case TARGET_WISH_STOP:
		return target_stop_attach(t, e);
	case TARGET_WISH_CLONE:
		err = target_clone_attach(t, e);
		if (err == -ENOTSUP) {
			error_set(e, err, EXIT_TARGET, "cannot clone process %d: %s",
				  t->process.pid, t->how.why);
			error_hint(e, "--method stop reads it while it stands still");
		}
		return err;
	case TARGET_WISH_AUTO:
		break;
	}
	err = target_clone_attach(t, &stop_error);
	if (err == -ENOTSUP) {
		begin_again(t);
		err = target_stop_attach(t, &stop_error);
	}
	if (err == 0)
		return 0;
	begin_again(t);
	/* Another tracer, or no right to trace; reading may still be allowed. */
	err = target_live_attach(t, e);
	if (err == 0)
		memcpy(t->how.why, stop_error.message, sizeof(t->how.why));
	return err;
}

int target_open_pid(int32_t pid, const struct target_options *o, struct target **ret,
		    struct error *e)
{
	struct target *t = target_new();
	int err = process_read(pid, &t->process, e);

	if (err < 0) {
		free(t);
		return err;
	}
	if (t->process.kernel_thread ||
	    (process_is_zombie(&t->process) && process_check(pid, t->process.start_ticks) < 0)) {
		err = process_explain(pid, -ESRCH, "memory", e);
	} else {
		t->use = o ? o->use : NULL;
		err = attach(t, o ? o->wish : TARGET_WISH_AUTO, e);
		t->use = NULL;
	}
	if (err < 0) {
		target_close(t);
		return err;
	}
	target_find_modules(t);
	*ret = t;
	return 0;
}

const struct target_how *target_how(const struct target *t)
{
	return &t->how;
}

const char *target_kind_name(enum target_kind kind)
{
	switch (kind) {
	case TARGET_LIVE:
		return "live";
	case TARGET_STOPPED:
		return "stopped";
	case TARGET_CLONE:
		return "frozen clone";
	case TARGET_CORE:
		return "core";
	}
	return "unknown";
}

unsigned int target_word_bytes(const struct target *t)
{
	return t->word_bytes;
}

uint16_t target_machine(const struct target *t)
{
	return t->machine;
}

const struct process_info *target_process(const struct target *t)
{
	return &t->process;
}

const struct maps *target_maps(const struct target *t)
{
	return &t->maps;
}

const struct target_thread *target_threads(const struct target *t, size_t *ret_nr)
{
	*ret_nr = t->nr_threads;
	return t->threads;
}

const struct target_module *target_modules(const struct target *t, size_t *ret_nr)
{
	*ret_nr = t->nr_modules;
	return t->modules;
}

const struct target_module *target_find_module(const struct target *t, uint64_t addr)
{
	size_t low = 0, high = t->nr_modules;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (t->modules[middle].end <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < t->nr_modules && t->modules[low].start <= addr)
		return &t->modules[low];
	return NULL;
}

const struct target_module *target_main_module(const struct target *t)
{
	for (size_t i = 0; i < t->nr_modules; i++) {
		if (t->modules[i].flags & TARGET_MODULE_MAIN)
			return &t->modules[i];
	}
	return NULL;
}

size_t target_read(struct target *t, uint64_t addr, void *buffer, size_t len)
{
	return len ? t->ops->read(t, addr, buffer, len) : 0;
}

bool target_read_all(struct target *t, uint64_t addr, void *buffer, size_t len)
{
	return target_read(t, addr, buffer, len) == len;
}

bool target_read_word(struct target *t, uint64_t addr, uint64_t *ret)
{
	uint64_t word;
	uint32_t half;

	if (t->word_bytes == 4) {
		if (!target_read_all(t, addr, &half, sizeof(half)))
			return false;
		*ret = half;
		return true;
	}
	if (!target_read_all(t, addr, &word, sizeof(word)))
		return false;
	*ret = word;
	return true;
}

bool target_read_text(struct target *t, uint64_t addr, char *buffer, size_t cap)
{
	size_t len = 0;

	if (cap == 0)
		return false;
	while (len + 1 < cap) {
		size_t want = cap - 1 - len < TEXT_PIECE ? cap - 1 - len : TEXT_PIECE;
		size_t got = target_read(t, addr + len, buffer + len, want);
		const char *nul = memchr(buffer + len, '\0', got);

		if (nul)
			return true;
		len += got;
		if (got < want)
			return false;
	}
	buffer[len] = '\0';
	return true;
}

int target_residency(struct target *t, uint64_t start, uint64_t end, struct target_residency *ret)
{
	return t->ops->residency ? t->ops->residency(t, start, end, ret) : -ENOTSUP;
}

/* Page by page, for who knows no better. */
static int next_resident(struct target *t, uint64_t from, uint64_t end, uint64_t *ret_start,
			 uint64_t *ret_end)
{
	uint64_t at = from, start = 0;
	struct target_residency r;

	while (at < end) {
		uint64_t next = (at / PAGE_BYTES + 1) * PAGE_BYTES;
		int err = target_residency(t, at, at + 1, &r);

		if (err < 0)
			return err;
		if (r.resident_bytes + r.swapped_bytes && !start)
			start = at;
		else if (!(r.resident_bytes + r.swapped_bytes) && start)
			break;
		at = next < end ? next : end;
	}
	if (!start)
		return -ENOENT;
	*ret_start = start;
	*ret_end = at;
	return 0;
}

int target_next_used(struct target *t, uint64_t from, uint64_t end, uint64_t *ret_start,
		     uint64_t *ret_end)
{
	if (from >= end)
		return -ENOENT;
	if (t->ops->next_used)
		return t->ops->next_used(t, from, end, ret_start, ret_end);
	return next_resident(t, from, end, ret_start, ret_end);
}
