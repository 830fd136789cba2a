/*
 * Every way into the C allocator, each from a function of its own, with what the standard promises
 * about results and errno checked on the way. About half of the blocks stay alive.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <stdlib.h>

#include "truth.h"

#define MARK 4711 /* an errno that no call sets by itself */

/* The call succeeded, or had nothing to report: errno must be as before. */
static void same_errno(const char *what)
{
	truth_check(errno == MARK, what);
	errno = MARK;
}

static void error_is(int expected, const char *what)
{
	truth_check(errno == expected, what);
	errno = MARK;
}

static NOINLINE void use_malloc(void)
{
	struct truth_site *s = truth_at(__func__);
	void *p = truth_born(s, malloc(opaque(100)), 100);

	same_errno("malloc leaves errno alone");
	truth_born(s, malloc(opaque(0)), 0);
	truth_born(s, malloc(opaque(1)), 1);
	truth_died(s, 100);
	free(p);
	same_errno("free leaves errno alone");
	free((void *)opaque(0));
	same_errno("free(NULL) leaves errno alone");
}

static NOINLINE void use_malloc_too_much(void)
{
	struct truth_site *s = truth_at(__func__);

	truth_check(!truth_born(s, malloc(opaque(SIZE_MAX)), 0), "malloc(SIZE_MAX) fails");
	error_is(ENOMEM, "malloc(SIZE_MAX) says ENOMEM");
	truth_check(!truth_born(s, malloc(opaque(PTRDIFF_MAX)), 0), "malloc(PTRDIFF_MAX) fails");
	error_is(ENOMEM, "malloc(PTRDIFF_MAX) says ENOMEM");
}

static NOINLINE void use_calloc(void)
{
	struct truth_site *s = truth_at(__func__);
	unsigned char *p = truth_born(s, calloc(opaque(7), opaque(30)), 210);

	for (int i = 0; i < 210; i++)
		truth_check(p[i] == 0, "calloc gives zeros");
	truth_born(s, calloc(opaque(0), opaque(10)), 0);
	same_errno("calloc leaves errno alone");
	truth_check(!truth_born(s, calloc(opaque(SIZE_MAX / 2), opaque(4)), 0),
		    "calloc sees the overflow");
	error_is(ENOMEM, "calloc overflow says ENOMEM");
	truth_died(s, 210);
	free(p);
}

static NOINLINE void use_realloc(void)
{
	struct truth_site *s = truth_at(__func__);
	char *p = truth_born(s, realloc((void *)opaque(0), opaque(50)), 50), *kept;

	memset(p, 'x', 50);
	p = truth_born(s, realloc(p, opaque(5000)), 5000);
	truth_died(s, 50);
	truth_check(p[0] == 'x' && p[49] == 'x', "realloc keeps the contents when it grows");
	p = truth_born(s, realloc(p, opaque(20)), 20);
	truth_died(s, 5000);
	truth_check(p[19] == 'x', "realloc keeps the contents when it shrinks");
	same_errno("realloc leaves errno alone");
	kept = (char *)opaque((size_t)p);
	truth_check(!truth_born(s, realloc(p, opaque(PTRDIFF_MAX)), 0), "realloc to PTRDIFF_MAX");
	error_is(ENOMEM, "realloc that fails says ENOMEM");
	truth_check(kept[19] == 'x', "realloc that fails leaves the block alone");
}

/* glibc frees and returns NULL, others return a small block: both are counted as they are. */
static NOINLINE void use_realloc_zero(void)
{
	struct truth_site *s = truth_at(__func__);
	void *p = truth_born(s, malloc(opaque(60)), 60);

	truth_born(s, realloc(p, opaque(0)), 0);
	truth_died(s, 60);
}

static NOINLINE void use_reallocarray(void)
{
	struct truth_site *s = truth_at(__func__);
	void *p = truth_born(s, reallocarray((void *)opaque(0), opaque(10), opaque(11)), 110);

	p = truth_born(s, reallocarray(p, opaque(20), opaque(11)), 220);
	truth_died(s, 110);
	same_errno("reallocarray leaves errno alone");
	truth_check(!truth_born(s, reallocarray(p, opaque(SIZE_MAX / 2), opaque(3)), 0),
		    "reallocarray sees the overflow");
	error_is(ENOMEM, "reallocarray overflow says ENOMEM");
}

static void aligned_to(const void *p, size_t alignment, const char *what)
{
	truth_check(p && (uintptr_t)p % alignment == 0, what);
}

static NOINLINE void use_memalign(void)
{
	struct truth_site *s = truth_at(__func__);
	void *p = truth_born(s, memalign(opaque(64), opaque(100)), 100);

	aligned_to(p, 64, "memalign aligns to 64");
	aligned_to(truth_born(s, memalign(opaque(4096), opaque(5000)), 5000), 4096,
		   "memalign aligns to 4096");
	same_errno("memalign leaves errno alone");
	truth_died(s, 100);
	free(p);
}

static NOINLINE void use_aligned_alloc(void)
{
	struct truth_site *s = truth_at(__func__);
	void *p = truth_born(s, aligned_alloc(opaque(32), opaque(96)), 96);

	aligned_to(p, 32, "aligned_alloc aligns to 32");
	/* realloc of an aligned block is legal and may lose the alignment. */
	truth_born(s, realloc(p, opaque(960)), 960);
	truth_died(s, 96);
	same_errno("aligned_alloc leaves errno alone");
}

static NOINLINE void use_posix_memalign(void)
{
	struct truth_site *s = truth_at(__func__);
	void *p = &p, *before = p;

	truth_check(posix_memalign(&p, opaque(3), opaque(100)) == EINVAL && p == before,
		    "posix_memalign refuses alignment 3 and writes nothing");
	truth_check(posix_memalign(&p, opaque(64), opaque(PTRDIFF_MAX)) == ENOMEM && p == before,
		    "posix_memalign fails on PTRDIFF_MAX and writes nothing");
	errno = MARK;
	truth_check(posix_memalign(&p, opaque(256), opaque(1000)) == 0, "posix_memalign works");
	truth_born(s, p, 1000);
	aligned_to(p, 256, "posix_memalign aligns to 256");
	same_errno("posix_memalign leaves errno alone");
}

static NOINLINE void use_valloc(void)
{
	struct truth_site *s = truth_at(__func__);
	void *p = truth_born(s, valloc(opaque(100)), 100);

	aligned_to(p, (size_t)sysconf(_SC_PAGESIZE), "valloc aligns to a page");
	truth_died(s, 100);
	free(p);
	truth_born(s, valloc(opaque(200)), 200);
}

static NOINLINE void use_pvalloc(void)
{
	struct truth_site *s = truth_at(__func__);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *p = truth_born(s, pvalloc(opaque(100)), 100);

	aligned_to(p, page, "pvalloc aligns to a page");
	memset(p, 0x5a, opaque(page)); /* it rounds up to whole pages, so this is legal */
}

/* The ways to free that this C library may or may not have. */
static NOINLINE void use_other_frees(void)
{
	struct truth_site *s = truth_at(__func__);
	void (*cfree)(void *), (*free_sized)(void *, size_t);
	void (*free_aligned_sized)(void *, size_t, size_t);

	/*
	 * glibc keeps cfree for old programs only, under the version they ask for. It knows nothing
	 * of blocks of jemalloc, should that be in charge.
	 */
	*(void **)&cfree = dlsym(RTLD_DEFAULT, "cfree");
	if (!cfree && !dlsym(RTLD_DEFAULT, "mallocx"))
		*(void **)&cfree = dlvsym(RTLD_DEFAULT, "cfree", "GLIBC_2.2.5");
	*(void **)&free_sized = dlsym(RTLD_DEFAULT, "free_sized");
	*(void **)&free_aligned_sized = dlsym(RTLD_DEFAULT, "free_aligned_sized");
	truth_note("has", "{\"cfree\":%d,\"free_sized\":%d,\"free_aligned_sized\":%d}", !!cfree,
		   !!free_sized, !!free_aligned_sized);
	if (cfree) {
		cfree(truth_born(s, malloc(opaque(70)), 70));
		truth_died(s, 70);
	}
	if (free_sized) {
		free_sized(truth_born(s, malloc(opaque(71)), 71), opaque(71));
		truth_died(s, 71);
	}
	if (free_aligned_sized) {
		free_aligned_sized(truth_born(s, aligned_alloc(opaque(64), opaque(128)), 128),
				   opaque(64), opaque(128));
		truth_died(s, 128);
	}
}

/* Writing up to the usable size is legal with glibc, and a tool must not change what it is. */
static NOINLINE void use_usable_size(void)
{
	static const size_t sizes[] = {0, 1, 24, 25, 100, 1000, 5000, 200000};
	struct truth_site *s = truth_at(__func__);
	char list[256] = "", *block;
	size_t usable;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		block = truth_born(s, malloc(opaque(sizes[i])), sizes[i]);
		usable = malloc_usable_size(block);
		truth_check(usable >= sizes[i], "usable size is enough");
		memset(block, 0x5a, usable);
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%zu", i ? "," : "",
			 usable);
		if (i % 2) {
			truth_died(s, sizes[i]);
			free(block);
		}
	}
	truth_check(malloc_usable_size((void *)opaque(0)) == 0, "usable size of NULL is 0");
	same_errno("malloc_usable_size leaves errno alone");
	truth_note("usable", "[%s]", list);
}

/* Distances between blocks made in a row: the same with and without a recorder. */
static NOINLINE void use_layout(void)
{
	struct truth_site *s = truth_at(__func__);
	char list[256] = "", *first = NULL, *block;

	for (int i = 0; i < 8; i++) {
		size_t size = 2000 + (size_t)i * 48;

		block = truth_born(s, malloc(opaque(size)), size);
		first = first ? first : block;
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%td", i ? "," : "",
			 block - first);
	}
	truth_note("layout", "[%s]", list);
}

static NOINLINE void use_strdup(void)
{
	struct truth_site *s = truth_at(__func__);
	char *p = truth_born(s, strdup("fourteen bytes"), 15);

	truth_born(s, strndup("fourteen bytes", opaque(8)), 9);
	truth_died(s, 15);
	free(p);
	same_errno("strdup leaves errno alone");
}

/* getline says in *n how much it allocated. Reads from a pipe through an unbuffered stdin. */
static NOINLINE void use_getline(void)
{
	static const char text[] =
		"short\nthis line does not fit into the eight bytes it is given\n";
	struct truth_site *s = truth_at(__func__);
	int before = dup(STDIN_FILENO), ends[2];
	char *line = NULL, *small = truth_born(s, malloc(opaque(8)), 8);
	size_t len = 0, small_len = 8;

	if (pipe(ends) < 0 || write(ends[1], text, sizeof(text) - 1) != sizeof(text) - 1)
		truth_check(0, "a pipe can be made");
	close(ends[1]);
	dup2(ends[0], STDIN_FILENO);
	close(ends[0]);
	setvbuf(stdin, NULL, _IONBF, 0);
	truth_check(getline(&line, &len, stdin) == 6, "getline reads the short line");
	truth_born(s, line, len);
	truth_check(getline(&small, &small_len, stdin) > 8, "getline reads the long line");
	truth_born(s, small, small_len);
	truth_died(s, 8);
	/* Unbuffered input makes getline grow the block several times. */
	s->only_live = 1;
	if (before >= 0) {
		dup2(before, STDIN_FILENO);
		close(before);
	} else {
		close(STDIN_FILENO);
	}
	errno = MARK;
}

static NOINLINE void use_asprintf(void)
{
	struct truth_site *s = truth_at(__func__);
	char *text = NULL;
	int len = asprintf(&text, "%d of %s", 42, "something");

	truth_check(len == 15, "asprintf says the length");
	truth_born(s, text, (size_t)len + 1);
	s->only_live = 1;
	errno = MARK;
}

int main(int argc, char **argv)
{
	errno = MARK;
	use_malloc();
	use_malloc_too_much();
	use_calloc();
	use_realloc();
	use_realloc_zero();
	use_reallocarray();
	use_memalign();
	use_aligned_alloc();
	use_posix_memalign();
	use_valloc();
	use_pvalloc();
	use_other_frees();
	errno = MARK;
	use_usable_size();
	use_layout();
	use_strdup();
	use_getline();
	use_asprintf();
	truth_print("allapi", "end");
	truth_wait(argc, argv);
	return truth_status();
}
