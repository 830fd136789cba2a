/*
 * Loads two modules by turns, each unloaded before the other comes, so that both live at the same
 * address; each leaks its own known amount. Then the C library does the same behind our back:
 * iconv loads and unloads its converters.
 *
 * plugin [FOLDER-OF-THE-MODULES] [--wait]
 */
#include <dlfcn.h>
#include <iconv.h>
#include <stdlib.h>

#include "plugin.h"
#include "truth.h"

#define TURNS 10

static struct truth_site *current;

static void leaked(void *block, size_t size)
{
	truth_born(current, block, size);
}

/* Runs one module; returns where its code was, or NULL. Both have it at the same offset. */
static void *run_module(const char *folder, const char *name, int depth)
{
	static const struct plugin_host host = {.leaked = leaked};
	plugin_run_fn *run;
	char path[4096];
	void *module, *where;

	snprintf(path, sizeof(path), "%s/plugin-%s.so", folder, name);
	module = dlopen(path, RTLD_NOW);
	if (!module) {
		fprintf(stderr, "victim: %s\n", dlerror());
		return NULL;
	}
	where = dlsym(module, "plugin_run");
	*(void **)&run = where;
	for (int i = 0; i < 5; i++)
		run(&host, depth + i);
	dlclose(module);
	return where;
}

static int run_modules(const char *folder)
{
	struct truth_site *alpha = truth_at("alpha_leak"), *beta = truth_at("beta_leak");
	void *where, *before = NULL;
	int same = 0;

	for (int turn = 0; turn < TURNS; turn++) {
		current = turn % 2 ? beta : alpha;
		where = run_module(folder, turn % 2 ? "beta" : "alpha", turn);
		if (!where)
			return -1;
		same += where == before;
		before = where;
	}
	truth_note("same_address", "%d", same);
	return 0;
}

/* Converters are modules of the C library; their blocks are its own and are freed again. */
static NOINLINE void convert(void)
{
	static const char *const charsets[] = {"ISO-8859-15", "CP1252", "UTF-16BE", "EUC-JP"};
	char in[] = "plain text", out[64];
	int converted = 0;

	for (int i = 0; i < 12; i++) {
		iconv_t cd = iconv_open(charsets[i % 4], "UTF-8");
		size_t in_left = sizeof(in), out_left = sizeof(out);
		char *from = in, *to = out;

		if (cd == (iconv_t)-1)
			continue;
		converted += iconv(cd, &from, &in_left, &to, &out_left) != (size_t)-1;
		iconv_close(cd);
	}
	truth_note("converted", "%d", converted);
}

int main(int argc, char **argv)
{
	char folder[4096] = ".";
	ssize_t len = readlink("/proc/self/exe", folder, sizeof(folder) - 1);

	if (len > 0) {
		folder[len] = '\0';
		*strrchr(folder, '/') = '\0';
	}
	if (run_modules(argc > 1 && argv[1][0] != '-' ? argv[1] : folder) < 0)
		return 1;
	convert();
	truth_print("plugin", "end");
	truth_wait(argc, argv);
	return truth_status();
}
