/* Every function of the C library that hands a block over. */
#include <dirent.h>
#include <limits.h>
#include <malloc.h>
#include <regex.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "leaks.h"

/* A number that the compiler does not know. */
static volatile size_t opaque_huge = SIZE_MAX / 4;

static void use_and_free(void *p, int bad)
{
	leak_touch(p);
	if (!bad)
		free(p);
}

CASE(malloc_simple)
{
	char *p = malloc(100);

	strcpy(p, "lost");
	use_and_free(p, bad);
}

CASE(malloc_nothing)
{
	use_and_free(malloc(0), bad);
}

CASE(malloc_large)
{
	char *p = malloc(3 << 20);

	p[1 << 20] = 1;
	use_and_free(p, bad);
}

CASE(malloc_many)
{
	for (size_t i = 1; i <= 100; i++)
		use_and_free(malloc(i * 24), bad);
}

CASE(calloc_simple)
{
	use_and_free(calloc(7, 30), bad);
}

CASE(realloc_grown)
{
	char *p = malloc(40);

	strcpy(p, "grows");
	use_and_free(realloc(p, 4000), bad);
}

CASE(realloc_lost)
{
	char *p = malloc(60), *old = p;

	/* It fails, and leaves the block as it was. */
	p = realloc(p, opaque_huge);
	if (!p && !bad)
		free(old);
	old = NULL;
	leak_touch(&old);
}

CASE(reallocarray_simple)
{
	use_and_free(reallocarray(NULL, 9, 33), bad);
}

CASE(strdup_simple)
{
	use_and_free(strdup("a text of thirty-one characters"), bad);
}

CASE(strndup_simple)
{
	use_and_free(strndup("a text that is cut", 6), bad);
}

CASE(asprintf_simple)
{
	char *p = NULL;

	if (asprintf(&p, "%d and %d", 12, 34) > 0)
		use_and_free(p, bad);
}

CASE(wcsdup_simple)
{
	use_and_free(wcsdup(L"wide characters"), bad);
}

CASE(aligned_alloc_simple)
{
	use_and_free(aligned_alloc(256, 512), bad);
}

CASE(posix_memalign_simple)
{
	void *p = NULL;

	if (posix_memalign(&p, 4096, 100) == 0)
		use_and_free(p, bad);
}

CASE(memalign_simple)
{
	use_and_free(memalign(64, 200), bad);
}

CASE(realpath_simple)
{
	use_and_free(realpath("/", NULL), bad);
}

CASE(getcwd_simple)
{
	use_and_free(getcwd(NULL, 0), bad);
}

CASE(memory_stream)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	fputs("what was written", f);
	fclose(f);
	use_and_free(text, bad);
}

CASE(directory)
{
	DIR *dir = opendir("/");

	leak_touch(readdir(dir));
	if (!bad)
		closedir(dir);
	else
		close(dirfd(dir));
}

CASE(scandir_names)
{
	struct dirent **names;
	int nr = scandir("/proc/self/task", &names, NULL, alphasort);

	for (int i = 0; i < nr && !bad; i++)
		free(names[i]);
	if (nr >= 0)
		free(names);
}

CASE(regular_expression)
{
	regex_t r;

	if (regcomp(&r, "a*(b|c)+", REG_EXTENDED) == 0 && !bad)
		regfree(&r);
	memset(&r, 0, sizeof(r));
	leak_touch(&r);
}
