/*
 * Loads and unloads two modules by turns, many times: more often than a table has rows for modules,
 * and each time with frames of another size at the same addresses.
 *
 * regress-churn ROUNDS MODULE MODULE; exit status 77: they did not share an address
 */
#include <dlfcn.h>
#include <stdlib.h>

#include "truth.h"

#define CALLS 5

/* Where the module was; NULL: it cannot be loaded. */
static void *run_module(const char *path)
{
	void *module = dlopen(path, RTLD_NOW);
	void *(*allocate)(void) = NULL;

	if (module)
		*(void **)&allocate = dlsym(module, "frame_allocate");
	if (!allocate) {
		fprintf(stderr, "victim: %s\n", dlerror());
		return NULL;
	}
	for (int i = 0; i < CALLS; i++)
		free(allocate());
	dlclose(module);
	return *(void **)&allocate;
}

int main(int argc, char **argv)
{
	int rounds = argc > 3 ? atoi(argv[1]) : 0, same = 0;
	void *before = NULL, *where;

	for (int i = 0; i < rounds; i++) {
		where = run_module(argv[2 + i % 2]);
		if (!where)
			return 1;
		same += where == before;
		before = where;
	}
	truth_note("same_address", "%d", same);
	truth_print("churn", "end");
	if (same < rounds / 2)
		fprintf(stderr, "victim: skipped: the modules do not share an address\n");
	return same < rounds / 2 ? SKIPPED : 0;
}
