/* Extents of stacks and of thread-local storage; see thread_area.h. */
#include "target/thread_area.h"

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "target/maps.h"
#include "target/process.h"
#include "target/target.h"

#define PAGE_BYTES ((uint64_t)4096)
/* struct pthread of glibc 2.28 … 2.40 and its header, 64 bits; others are smaller. */
#define RECORD_BYTES 2304
#define RECORD_WORD_MAX 8
#define TLS_ALIGN ((uint64_t)64)
#define TLS_MOST ((uint64_t)1 << 30)
#define STACK_MOST ((uint64_t)1 << 40)

static uint64_t page_floor(uint64_t addr)
{
	return addr & ~(PAGE_BYTES - 1);
}

static uint64_t page_ceil(uint64_t addr)
{
	return page_floor(addr + PAGE_BYTES - 1);
}

/* TLS lies behind the thread pointer on arm, and the record before it; on x86 it is reversed. */
static bool tls_follows(const struct target *t)
{
	return target_machine(t) == EM_AARCH64 || target_machine(t) == EM_ARM;
}

static uint64_t word_at(const uint8_t *bytes, unsigned int word_bytes)
{
	uint64_t wide;
	uint32_t narrow;

	if (word_bytes == sizeof(narrow)) {
		memcpy(&narrow, bytes, sizeof(narrow));
		return narrow;
	}
	memcpy(&wide, bytes, sizeof(wide));
	return wide;
}

/* Are these the beginning and the size of the memory that the thread pointer lies in? */
static bool is_block(const struct map *m, uint64_t tp, uint64_t start, uint64_t size)
{
	if (start == 0 || start % PAGE_BYTES || size < PAGE_BYTES || size % PAGE_BYTES ||
	    size > STACK_MOST || start + size < start)
		return false;
	return start <= tp && tp < start + size && start + size <= m->end;
}

static bool find_stack(struct target *t, const struct map *m, uint64_t tp, struct thread_area *ret)
{
	uint8_t record[RECORD_BYTES];
	unsigned int word = target_word_bytes(t);
	uint64_t from = tls_follows(t) ? tp - RECORD_BYTES : tp;
	size_t len;

	if (word > RECORD_WORD_MAX || from > tp)
		return false;
	if (from < m->start)
		from = m->start;
	len = target_read(t, from, record, tls_follows(t) ? tp - from : sizeof(record));
	for (size_t i = 0; i + 2 * (size_t)word <= len; i += word) {
		uint64_t start = word_at(record + i, word);
		uint64_t size = word_at(record + i + word, word);

		if (!is_block(m, tp, start, size))
			continue;
		/* The guard is a part of it, and a mapping of its own. */
		ret->stack_start = start > m->start ? start : m->start;
		ret->stack_end = start + size;
		return true;
	}
	return false;
}

static uint64_t tls_bytes(const struct target *t)
{
	size_t nr;
	const struct target_module *modules = target_modules(t, &nr);
	uint64_t sum = 0;

	for (size_t i = 0; i < nr && sum < TLS_MOST; i++) {
		if (modules[i].tls_bytes < TLS_MOST)
			sum += (modules[i].tls_bytes + TLS_ALIGN - 1) & ~(TLS_ALIGN - 1);
	}
	return sum;
}

static void find_tls(const struct target *t, const struct map *m, uint64_t tp,
		     struct thread_area *ret)
{
	uint64_t tls = tls_bytes(t), before = tls_follows(t) ? RECORD_BYTES : tls;
	uint64_t behind = tls_follows(t) ? tls : RECORD_BYTES;

	ret->tls_start = tp - m->start > before ? page_floor(tp - before) : m->start;
	ret->tls_end = m->end - tp > behind ? page_ceil(tp + behind) : m->end;
}

void thread_area_find(struct target *t, const struct target_thread *thread, struct thread_area *ret)
{
	const struct map *m = thread->tp ? maps_find(target_maps(t), thread->tp) : NULL;
	const struct process_info *who = target_process(t);

	*ret = (struct thread_area){.tls_start = 0};
	/* Thread-local storage in a module's .bss is the module's, in the brk area the heap's. */
	if (!m || m->prot & MAP_IS_SHARED || (*m->path && strncmp(m->path, "[anon", 5) != 0) ||
	    target_find_module(t, thread->tp))
		return;
	if (!find_stack(t, m, thread->tp, ret) && thread->tid == who->pid)
		find_tls(t, m, thread->tp, ret);
}
