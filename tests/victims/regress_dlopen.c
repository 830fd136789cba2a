/*
 * A C program that loads C++ modules, so that operator new appears only when it already runs; each
 * is called and unloaded again.
 *
 * regress-dlopen MODULE...
 */
#include <dlfcn.h>
#include <stdio.h>

static int run_module(const char *path)
{
	void *module = dlopen(path, RTLD_NOW);
	int (*run)(void) = NULL;
	int status;

	if (module)
		*(void **)&run = dlsym(module, "plugin_run");
	if (!run) {
		fprintf(stderr, "victim: %s\n", dlerror());
		return 2;
	}
	status = run();
	dlclose(module);
	return status;
}

int main(int argc, char **argv)
{
	int status = 0;

	for (int i = 1; i < argc && !status; i++)
		status = run_module(argv[i]);
	return status;
}
