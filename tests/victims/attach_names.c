/*
 * Calls every function of the allocators' own interfaces that is there (mallocx, tc_malloc,
 * mi_heap_realloc, operator new …), found by dlsym(), while a recorder may be attached.
 *
 * attach_names
 *
 * Each command, one a line, makes a round: allocates by each function, and frees every other block
 * by whatever frees it; prints the truth, with the names that were called; stands still until the
 * next. "drain" frees the rest, too. Without a further command it ends.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>

#include "truth.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define TIMES 20
#define BLOCKS_MAX 8192

/*
 * How a function is called: arguments by letter: b bytes, n number, a alignment, h heap, 0 zero,
 * s a string of so many bytes, o a place for an answer, t heap of this thread.
 */
struct allocates {
	const char *name, *arguments;
};

static const struct allocates allocates[] = {
	{"malloc", "b"},
	{"calloc", "nb"},
	{"memalign", "ab"},
	{"aligned_alloc", "ab"},
	{"valloc", "b"},
	{"pvalloc", "b"},
	{"mallocx", "b0"},
	{"_Znwm", "b"},
	{"_Znam", "b"},
	{"_ZnwmRKSt9nothrow_t", "b0"},
	{"_ZnamRKSt9nothrow_t", "b0"},
	{"_ZnwmSt11align_val_t", "ba"},
	{"_ZnamSt11align_val_t", "ba"},
	{"_ZnwmSt11align_val_tRKSt9nothrow_t", "ba0"},
	{"_ZnamSt11align_val_tRKSt9nothrow_t", "ba0"},
	{"tc_malloc", "b"},
	{"tc_malloc_skip_new_handler", "b"},
	{"tc_calloc", "nb"},
	{"tc_memalign", "ab"},
	{"tc_valloc", "b"},
	{"tc_new", "b"},
	{"tc_newarray_nothrow", "b0"},
	{"tc_new_aligned", "ba"},
	{"mi_malloc", "b"},
	{"mi_malloc_small", "b"},
	{"mi_zalloc", "b"},
	{"mi_zalloc_small", "b"},
	{"mi_calloc", "nb"},
	{"mi_mallocn", "nb"},
	{"mi_malloc_aligned", "ba"},
	{"mi_malloc_aligned_at", "ba0"},
	{"mi_zalloc_aligned", "ba"},
	{"mi_calloc_aligned", "nba"},
	{"mi_memalign", "ab"},
	{"mi_aligned_alloc", "ab"},
	{"mi_valloc", "b"},
	{"mi_pvalloc", "b"},
	{"mi_new", "b"},
	{"mi_new_n", "nb"},
	{"mi_new_nothrow", "b"},
	{"mi_new_aligned", "ba"},
	{"mi_heap_malloc", "hb"},
	{"mi_heap_malloc_small", "hb"},
	{"mi_heap_zalloc", "hb"},
	{"mi_heap_calloc", "hnb"},
	{"mi_heap_mallocn", "hnb"},
	{"mi_heap_malloc_aligned", "hba"},
	{"mi_heap_calloc_aligned", "hnba"},
	{"mi_heap_zalloc_small", "hb"},
	{"mi_umalloc", "bo"},
	{"mi_umalloc_small", "bo"},
	{"mi_umalloc_aligned", "bao"},
	{"mi_uzalloc", "bo"},
	{"mi_uzalloc_small", "bo"},
	{"mi_uzalloc_aligned", "bao"},
	{"mi_ucalloc", "nbo"},
	{"mi_theap_malloc", "tb"},
	{"mi_theap_malloc_small", "tb"},
	{"mi_theap_malloc_aligned", "tba"},
	{"mi_theap_zalloc", "tb"},
	{"mi_theap_zalloc_small", "tb"},
	{"mi_theap_calloc", "tnb"},
	{"mi_strdup", "s"},
	{"mi_strndup", "sb"},
	{"mi_mbsdup", "s"},
	{"mi_heap_strdup", "hs"},
	{"mi_heap_strndup", "hsb"},
};

/* p: the block. */
static const struct allocates reallocates[] = {
	{"realloc", "pb"},
	{"reallocarray", "pnb"},
	{"rallocx", "pb0"},
	{"tc_realloc", "pb"},
	{"reallocf", "pb"},
	{"mi_realloc", "pb"},
	{"mi_rezalloc", "pb"},
	{"mi_reallocf", "pb"},
	{"mi_reallocn", "pnb"},
	{"mi_recalloc", "pnb"},
	{"mi_reallocarray", "pnb"},
	{"mi_realloc_aligned", "pba"},
	{"mi_recalloc_aligned", "pnba"},
	{"mi_new_realloc", "pb"},
	{"mi_urealloc", "pboo"},
	{"mi_theap_realloc", "tpb"},
	{"mi_heap_realloc", "hpb"},
	{"mi_heap_rezalloc", "hpb"},
	{"mi_heap_reallocf", "hpb"},
	{"mi_heap_reallocn", "hpnb"},
	{"mi_heap_recalloc", "hpnb"},
	{"mi_heap_realloc_aligned", "hpba"},
};

/* Only those that free what any function above has allocated. */
static const struct allocates frees[] = {
	{"free", "p"},	    {"cfree", "p"},	{"dallocx", "p0"},	 {"tc_free", "p"},
	{"tc_cfree", "p"},  {"tc_delete", "p"}, {"tc_deletearray", "p"}, {"mi_free", "p"},
	{"mi_cfree", "p"},  {"vfree", "p"},	{"_ZdlPv", "p"},	 {"_ZdaPv", "p"},
	{"mi_ufree", "po"},
};

static struct block {
	void *p;
	size_t bytes;
	struct truth_site *site;
} blocks[BLOCKS_MAX];
static size_t blocks_nr;
static void *heap, *own_heap; /* mimalloc's default ones */
static uint64_t answer;
static bool draining;

typedef void *function(uint64_t, uint64_t, uint64_t, uint64_t);

/* Only what is of the same library as malloc: two allocators do not know each other's blocks. */
static function *find(const char *name)
{
	void *f = dlsym(RTLD_DEFAULT, name);
	Dl_info of_malloc, of_it;

	if (!f || !dladdr(dlsym(RTLD_DEFAULT, "malloc"), &of_malloc) || !dladdr(f, &of_it) ||
	    of_malloc.dli_fbase != of_it.dli_fbase)
		return NULL;
	return (function *)f;
}

static const char *string_of(size_t bytes)
{
	static char text[TIMES * 16];

	memset(text, 'x', bytes - 1);
	text[bytes - 1] = '\0';
	return text;
}

static void fill(const char *arguments, const void *p, size_t nr, size_t each, uint64_t args[4])
{
	for (int i = 0; arguments[i]; i++) {
		switch (arguments[i]) {
		case 'b':
			args[i] = each;
			break;
		case 'n':
			args[i] = nr;
			break;
		case 'a':
			args[i] = 64;
			break;
		case 'h':
			args[i] = (uintptr_t)heap;
			break;
		case 't':
			args[i] = (uintptr_t)own_heap;
			break;
		case 'o':
			args[i] = (uintptr_t)&answer;
			break;
		case 's':
			args[i] = (uintptr_t)string_of(each);
			break;
		case 'p':
			args[i] = (uintptr_t)p;
			break;
		}
	}
}

static void keep(struct truth_site *site, void *p, size_t bytes)
{
	truth_check(p != NULL, "an allocation failed");
	if (!p)
		return;
	if (blocks_nr == BLOCKS_MAX)
		_exit(4);
	memset(p, (int)bytes, bytes);
	blocks[blocks_nr++] = (struct block){truth_born(site, p, bytes), bytes, site};
}

static NOINLINE void by_allocates(struct truth_site *site)
{
	for (size_t i = 0; i < COUNT(allocates); i++) {
		function *f = find(allocates[i].name);
		size_t nr = strchr(allocates[i].arguments, 'n') ? 3 : 1;

		for (size_t k = 1; f && k <= TIMES; k++) {
			uint64_t args[4] = {0};

			fill(allocates[i].arguments, NULL, nr, k * 16, args);
			keep(site, f(args[0], args[1], args[2], args[3]), nr * k * 16);
		}
	}
}

static NOINLINE void by_reallocates(struct truth_site *site)
{
	size_t at = 0;

	for (size_t i = 0; i < COUNT(reallocates); i++) {
		function *f = find(reallocates[i].name);
		size_t nr = strchr(reallocates[i].arguments, 'n') ? 2 : 1;

		for (size_t k = 1; f && k <= TIMES && at < blocks_nr; k++, at++) {
			struct block *b = &blocks[at];
			uint64_t args[4] = {0};

			fill(reallocates[i].arguments, b->p, nr, k * 40, args);
			truth_died(b->site, b->bytes);
			b->p = truth_born(site, f(args[0], args[1], args[2], args[3]), nr * k * 40);
			truth_check(b->p != NULL, "a reallocation failed");
			b->bytes = nr * k * 40;
			b->site = site;
		}
	}
}

static NOINLINE void by_posix(struct truth_site *site)
{
	static const char *const names[] = {"posix_memalign", "tc_posix_memalign",
					    "mi_posix_memalign"};

	for (size_t i = 0; i < COUNT(names); i++) {
		function *f = find(names[i]);

		for (size_t k = 1; f && k <= TIMES; k++) {
			void *p = NULL;

			truth_check((int)(intptr_t)f((uintptr_t)&p, 32, k * 24, 0) == 0, names[i]);
			keep(site, p, k * 24);
		}
	}
}

/* In place, where there is room; afterwards the block was asked for so many bytes. */
static NOINLINE void by_xallocx(void)
{
	function *f = find("xallocx");

	for (size_t i = 0; f && i < blocks_nr; i += 7) {
		struct block *b = &blocks[i];
		size_t got = (uintptr_t)f((uintptr_t)b->p, b->bytes + 8, 0, 0);

		truth_check(got >= b->bytes, "xallocx made a block smaller");
		if (got < b->bytes + 8)
			continue;
		b->site->allocated_bytes += 8;
		b->bytes += 8;
	}
}

static void drop(size_t i, const struct allocates *how)
{
	struct block *b = &blocks[i];
	function *f = find(how->name);
	uint64_t args[4] = {0};

	if (!f)
		f = find("free");
	fill(how->arguments, b->p, 0, 0, args);
	truth_died(b->site, b->bytes);
	f(args[0], args[1], args[2], args[3]);
	*b = blocks[--blocks_nr];
}

static NOINLINE void by_frees(void)
{
	size_t how = 0;

	for (size_t i = 0; i < blocks_nr; how++) {
		drop(i, &frees[how % COUNT(frees)]);
		i += !draining;
	}
}

static void *heap_by(const char *name)
{
	function *f = find(name);

	return f ? f(0, 0, 0, 0) : NULL;
}

int main(void)
{
	struct truth_site *by_a = truth_at("by_allocates"), *by_r = truth_at("by_reallocates"),
			  *by_p = truth_at("by_posix");
	char line[16];

	heap = heap_by("mi_heap_get_default");
	if (!heap)
		heap = heap_by("mi_heap_main"); /* since 3.2 */
	own_heap = heap_by("mi_theap_get_default");
	/* What dlsym() and the like allocate at their first use is over. */
	by_allocates(by_a);
	draining = true;
	by_frees();
	truth_print("attach_names", "start");
	while (truth_line(line, sizeof(line))) {
		draining = !strcmp(line, "drain");
		by_allocates(by_a);
		by_posix(by_p);
		by_reallocates(by_r);
		by_xallocx();
		by_frees();
		truth_print("attach_names", line);
	}
	return truth_status();
}
