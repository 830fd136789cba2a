/*
 * The check build: every stack is compared, frame by frame, with what libgcc's unwinder finds from
 * here. Totals go into the header; the first differences are described on stderr. Not for
 * production: this file alone uses libc.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include <unwind.h>

#include "record.h"

#define CHECK_FRAMES (FRAMES_MAX + 64)
#define DESCRIBE_MAX 5

struct trace {
	uint64_t pc[CHECK_FRAMES];
	int nr;
};

static __thread struct trace *mine __attribute__((tls_model("initial-exec")));
static __thread int depth __attribute__((tls_model("initial-exec")));

static struct trace *trace_room(void)
{
	void *p = mmap(NULL, sizeof(struct trace), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static _Unwind_Reason_Code collect(struct _Unwind_Context *context, void *argument)
{
	struct trace *t = argument;
	int before = 0;
	uint64_t pc = _Unwind_GetIPInfo(context, &before);

	/* The recorder marks an interrupted frame by pc + 1, so that pc - 1 is always inside. */
	t->pc[t->nr++] = before ? pc + 1 : pc;
	return t->nr < CHECK_FRAMES ? _URC_NO_REASON : _URC_END_OF_STACK;
}

static void describe(const char *who, int i, uint64_t pc)
{
	Dl_info info = {0};
	char line[256];
	int n;

	dladdr((void *)(pc - 1), &info);
	n = snprintf(line, sizeof(line), "  %s #%d %#lx %s+%#lx %s\n", who, i, pc,
		     info.dli_fname ? info.dli_fname : "?", pc - (uint64_t)info.dli_fbase,
		     info.dli_sname ? info.dli_sname : "?");
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}

static void complain(struct wire_header *h, const struct trace *t, int from, int k, uint32_t node)
{
	char line[128];
	int i = 0, n;

	if (__atomic_add_fetch(&h->differing_stacks, 1, __ATOMIC_RELAXED) > DESCRIBE_MAX)
		return;
	n = snprintf(line, sizeof(line), "seep check: stack %u differs at frame %d of %d\n", node,
		     k, t->nr - from);
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
	for (int j = k > 2 ? k - 2 : 0; j < k + 3 && from + j < t->nr; j++)
		describe("libgcc", j, t->pc[from + j]);
	for (; node >= WIRE_NODE_FIRST && i < k + 3; node = rec_places.nodes[node].parent, i++)
		if (i >= k - 2)
			describe("seep  ", i, rec_places.nodes[node].pc & WIRE_PC_MASK);
}

/* Not a tag, nor what says why a stack ends. */
static bool is_code(uint32_t node)
{
	uint64_t pc = rec_places.nodes[node].pc;

	return pc >= WIRE_NODE_FIRST && !wire_pc_is_tag(pc);
}

void check_stack(struct wire_header *h, uint64_t pc, uint32_t node)
{
	struct trace *t = mine;
	uint32_t n = node;
	int from = 0, k;

	if (depth)
		return;
	depth = 1;
	if (!t)
		t = mine = trace_room();
	if (!t)
		goto out;
	t->nr = 0;
	_Unwind_Backtrace(collect, t);
	while (from < t->nr && t->pc[from] != pc)
		from++;
	for (k = 0; is_code(n) && from + k < t->nr; k++, n = rec_places.nodes[n].parent)
		if ((rec_places.nodes[n].pc & WIRE_PC_MASK) != t->pc[from + k])
			break;
	__atomic_fetch_add(&h->checked_stacks, 1, __ATOMIC_RELAXED);
	/* libgcc reports a last pc of 0 or 1 where a thread's or coroutine's first frame returns to
	 * it. */
	while (t->nr > from + k && t->pc[t->nr - 1] <= 1)
		t->nr--;
	/* A cut stack ends early by design; any other must end where libgcc's does. */
	if (is_code(n) || (rec_places.nodes[n].pc != WIRE_NODE_CUT && from + k < t->nr) ||
	    from == t->nr)
		complain(h, t, from, k, node);
out:
	depth = 0;
}
