/*
 * Prints every block that the heap walkers find in a process or a core, for tests that compare them
 * with what the program itself says: walk_heap [--method clone|stop|live] [--quiet] PID|CORE.
 *
 *   how clone 12345                                    kind, ns that the process stood still
 *   heap 0 glibc main 0x… flags 3 …                    one a heap
 *   0x55d2… 24 busy 0 -                                address, size, state, heap, what
 *   check 0 expected found sentence                    heap -1: of all
 *   fault 0 0x… sentence
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "heap/heap.h"
#include "target/target.h"

static int print_block(void *context, const struct heap_block *b)
{
	(void)context;
	printf("0x%llx %llu %s %zu %s\n", (unsigned long long)b->addr, (unsigned long long)b->size,
	       block_state_name(b->state), b->heap, b->what ? b->what : "-");
	return 0;
}

static void print_heap(const struct heap *h, size_t i)
{
	const struct heap_figures *f = &h->figures;

	printf("heap %zu '%s' '%s' kind %s addr 0x%llx flags %u spans %zu threads %zu", i,
	       h->allocator, h->name, heap_kind_name(h->kind), (unsigned long long)h->addr,
	       h->flags, h->nr_spans, h->nr_tids);
	printf(" reserved %llu committed %llu resident %llu busy %llu/%llu internal %llu/%llu",
	       (unsigned long long)f->reserved_bytes, (unsigned long long)f->committed_bytes,
	       (unsigned long long)f->resident_bytes, (unsigned long long)f->busy_blocks,
	       (unsigned long long)f->busy_bytes, (unsigned long long)f->internal_blocks,
	       (unsigned long long)f->internal_bytes);
	printf(" cached %llu/%llu free %llu/%llu overhead %llu\n",
	       (unsigned long long)f->cached_blocks, (unsigned long long)f->cached_bytes,
	       (unsigned long long)f->free_blocks, (unsigned long long)f->free_bytes,
	       (unsigned long long)f->overhead_bytes);
	if (h->fault[0])
		printf("fault %zu 0x%llx %s\n", i, (unsigned long long)h->fault_addr, h->fault);
}

static void print_all(const struct heaps *h)
{
	size_t nr;
	const struct heap_verdict *v = heaps_verdicts(h, &nr);

	for (size_t i = 0; i < heaps_nr(h); i++)
		print_heap(heaps_get(h, i), i);
	for (size_t i = 0; i < nr; i++)
		printf("check %lld %llu %llu %s\n",
		       v[i].heap == HEAP_ALL ? -1 : (long long)v[i].heap,
		       (unsigned long long)v[i].expected, (unsigned long long)v[i].found,
		       v[i].what);
	printf("allocator %s\n", heaps_allocator(h));
}

static int fail(const struct error *e)
{
	fprintf(stderr, "walk_heap: %s\n", e->message);
	return e->status;
}

static int look(struct target *t, bool quiet)
{
	const struct target_how *how = target_how(t);
	struct heaps *h = NULL;
	struct error e = {0};
	int err = heaps_find(t, &h, &e);

	if (err == 0)
		err = heaps_walk(h, HEAP_ALL, quiet ? NULL : print_block, NULL, &e);
	if (err == 0) {
		target_thaw(t);
		printf("how %s %llu %s\n", target_kind_name(how->kind),
		       (unsigned long long)how->pause_ns, how->why);
		print_all(h);
	}
	heaps_free(h);
	return err == 0 ? 0 : fail(&e);
}

int main(int argc, char **argv)
{
	static const char *const methods[] = {"auto", "clone", "stop", "live"};
	struct target_options o = {.wish = TARGET_WISH_AUTO};
	struct target *t = NULL;
	struct error e = {0};
	bool quiet = false;
	int i = 1, err, status;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--quiet") == 0)
			quiet = true;
		else if (strcmp(argv[i], "--method") == 0 && i + 1 < argc)
			for (unsigned int k = 0; k < 4; k++)
				o.wish = strcmp(methods[k], argv[i + 1]) ? o.wish : k;
		i += strcmp(argv[i], "--method") == 0;
	}
	if (i >= argc)
		return EXIT_USAGE;
	if (strspn(argv[i], "0123456789") == strlen(argv[i]))
		err = target_open_pid(atoi(argv[i]), &o, &t, &e);
	else
		err = target_open_core(argv[i], &o, &t, &e);
	if (err < 0)
		return fail(&e);
	status = look(t, quiet);
	target_close(t);
	return status;
}
