/*
 * The stack of a new program, System V ABI AMD64 3.4.1, and what becomes of it:
 *
 *     sp ─▶ argc                                sp ─▶ argc
 *           argv[0] … NULL                            argv[0] … NULL
 *           envp[0] … NULL                            "LD_PRELOAD=…" "SEEP_REC=…"
 *           auxiliary vector … AT_NULL                envp[0] … NULL
 *           strings                                   auxiliary vector … AT_NULL
 *                                                     our two strings
 *                                                     what was here (not in use any more)
 *                                                     strings
 */
#include "target/exec_stack.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "base/mem.h"

#define WORDS_MAX (1u << 18) /* of arguments, environment and auxiliary vector together */
#define PAGE_WORDS 512
#define TEXT_MAX (128u << 10) /* the kernel takes no longer string */
#define PRELOAD "LD_PRELOAD="

struct words {
	uint64_t *items;
	size_t nr, cap;
	size_t env, aux, end; /* first of the environment, of the auxiliary vector; behind it */
};

static bool read_memory(int32_t pid, uint64_t at, void *to, size_t bytes)
{
	struct iovec here = {to, bytes}, there = {(void *)(uintptr_t)at, bytes};

	return process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)bytes;
}

static bool write_memory(int32_t pid, uint64_t at, const void *from, size_t bytes)
{
	struct iovec here = {(void *)(uintptr_t)from, bytes};
	struct iovec there = {(void *)(uintptr_t)at, bytes};

	return process_vm_writev(pid, &here, 1, &there, 1, 0) == (ssize_t)bytes;
}

/* One more word; they are read a page at a time. */
static bool next_word(int32_t pid, uint64_t sp, struct words *w, size_t at, uint64_t *ret)
{
	while (at >= w->nr) {
		uint64_t from = sp + w->nr * 8;
		size_t more = PAGE_WORDS - (from / 8) % PAGE_WORDS;

		if (w->nr + more > WORDS_MAX)
			return false;
		while (w->cap < w->nr + more)
			w->items = array_grow(w->items, w->cap, &w->cap, sizeof(*w->items));
		if (!read_memory(pid, from, w->items + w->nr, more * 8))
			return false;
		w->nr += more;
	}
	*ret = w->items[at];
	return true;
}

/* The places of its parts. -EPERM: AT_SECURE. */
static int read_words(int32_t pid, uint64_t sp, struct words *w)
{
	uint64_t argc, word, value;
	size_t at;

	if (!next_word(pid, sp, w, 0, &argc) || argc > WORDS_MAX ||
	    !next_word(pid, sp, w, argc + 1, &word) || word)
		return -EINVAL;
	w->env = at = argc + 2;
	do {
		if (!next_word(pid, sp, w, at++, &word))
			return -EINVAL;
	} while (word);
	w->aux = at;
	do {
		if (!next_word(pid, sp, w, at, &word) || !next_word(pid, sp, w, at + 1, &value))
			return -EINVAL;
		if (word == AT_SECURE && value)
			return -EPERM;
		at += 2;
	} while (word != AT_NULL);
	w->end = at;
	return 0;
}

/* A string of the target's in memory of our own; NULL: not there, or too long. Caller frees. */
static char *read_text(int32_t pid, uint64_t at)
{
	char *text = mem_alloc(TEXT_MAX);
	size_t len = 0;

	while (len < TEXT_MAX) {
		size_t more = 4096 - (at + len) % 4096;

		if (more > TEXT_MAX - len)
			more = TEXT_MAX - len;
		if (!read_memory(pid, at + len, text + len, more))
			break;
		if (memchr(text + len, '\0', more))
			return text;
		len += more;
	}
	free(text);
	return NULL;
}

/* Its LD_PRELOAD; *ret_at: the place among the words, 0: it has none. Caller frees. */
static char *find_preload(int32_t pid, const struct words *w, size_t *ret_at)
{
	char start[sizeof(PRELOAD) - 1];
	char *found = NULL;

	*ret_at = 0;
	for (size_t i = w->env; i + 1 < w->aux; i++) {
		if (!read_memory(pid, w->items[i], start, sizeof(start)) ||
		    memcmp(start, PRELOAD, sizeof(start)))
			continue;
		free(found);
		found = read_text(pid, w->items[i]);
		*ret_at = found ? i : 0;
	}
	return found;
}

static int place(int32_t pid, struct user_regs_struct *regs, const struct words *w,
		 const char *preload, size_t preload_at, const char *session)
{
	size_t more = preload_at ? 1 : 2, nr = w->end + more, out = w->env;
	size_t preload_bytes = strlen(preload) + 1, session_bytes = strlen(session) + 1;
	uint64_t texts = (regs->rsp + w->end * 8 - preload_bytes - session_bytes) & ~7ull;
	uint64_t sp = (texts - nr * 8) & ~15ull;
	uint64_t *all = mem_alloc_array(nr, sizeof(*all));
	int r = 0;

	memcpy(all, w->items, w->env * 8);
	all[out++] = texts + preload_bytes;
	if (!preload_at)
		all[out++] = texts;
	memcpy(all + out, w->items + w->env, (w->end - w->env) * 8);
	if (preload_at)
		all[preload_at + 1] = texts;
	/* Below the old stack first: until the stack pointer moves, nobody sees any of it. */
	if (!write_memory(pid, sp, all, nr * 8) ||
	    !write_memory(pid, texts, preload, preload_bytes) ||
	    !write_memory(pid, texts + preload_bytes, session, session_bytes)) {
		write_memory(pid, regs->rsp, w->items, w->end * 8);
		r = -EFAULT;
	} else {
		regs->rsp = sp;
		if (ptrace(PTRACE_SETREGS, pid, NULL, regs) < 0)
			r = -errno;
	}
	free(all);
	return r;
}

/* The kernel begins with all of them zero, and the loader's first instruction changes one. */
bool exec_stack_is_fresh(int32_t pid)
{
	struct user_regs_struct r;

	return ptrace(PTRACE_GETREGS, pid, NULL, &r) == 0 &&
	       !(r.rdi | r.rsi | r.rdx | r.rbx | r.rbp | r.r8 | r.r9 | r.r10 | r.r12 | r.r13 |
		 r.r14 | r.r15);
}

int exec_stack_check(int32_t pid)
{
	struct user_regs_struct regs;
	struct words w = {0};
	int r;

	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
		return -errno;
	r = read_words(pid, regs.rsp, &w);
	free(w.items);
	return r;
}

int exec_stack_add(int32_t pid, const char *recorder, const char *session)
{
	struct user_regs_struct regs;
	struct words w = {0};
	char *old = NULL, *preload;
	size_t at;
	int r;

	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
		return -errno;
	r = read_words(pid, regs.rsp, &w);
	if (r == 0) {
		old = find_preload(pid, &w, &at);
		preload = old ? mem_printf(PRELOAD "%s:%s", recorder, old + strlen(PRELOAD))
			      : mem_printf(PRELOAD "%s", recorder);
		r = place(pid, &regs, &w, preload, at, session);
		free(preload);
		free(old);
	}
	free(w.items);
	return r;
}
