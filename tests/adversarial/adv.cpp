/*
 * Runs the cases and tells how much each allocated.
 *
 * adv [--modules FOLDER] [--repeat N] [CASE...]
 */
#include "adv.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

const char *module_folder;

static std::atomic<unsigned long> allocations;
static std::atomic<unsigned int> failures;
static thread_local unsigned int dice_state = 1;

extern "C" NOINLINE void churn(size_t size)
{
	void *p = malloc(size);

	touch(p);
	free(p);
	counted();
}

void counted(unsigned int more)
{
	allocations.fetch_add(more, std::memory_order_relaxed);
}

unsigned int dice()
{
	dice_state = dice_state * 1664525u + 1013904223u;
	return dice_state >> 16;
}

void dice_seed(unsigned int seed)
{
	dice_state = seed * 2654435761u + 1;
}

void expect(bool good, const char *what)
{
	if (good)
		return;
	failures++;
	dprintf(STDERR_FILENO, "adv: not true: %s\n", what);
}

static bool wanted(const char *name, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

static int run_cases(char **names, int repeat)
{
	static const adversarial_case *const groups[] = {frame_cases, control_cases, stack_cases,
							 lifetime_cases};
	const char *comma = "";

	dprintf(STDOUT_FILENO, "{\"program\":\"adv\",\"variant\":\"%s\",\"pid\":%d,\"cases\":[",
		VARIANT, (int)getpid());
	for (const adversarial_case *group : groups) {
		for (; group->name; group++) {
			if (!wanted(group->name, names))
				continue;
			allocations = 0;
			dice_seed(1);
			for (int i = 0; i < repeat; i++)
				group->run();
			dprintf(STDOUT_FILENO, "%s{\"case\":\"%s\",\"allocations\":%lu}", comma,
				group->name, allocations.load());
			comma = ",";
		}
	}
	dprintf(STDOUT_FILENO, "],\"failures\":%u}\n", failures.load());
	return failures ? 1 : 0;
}

/* ../victims beside the program's own folder. */
static const char *default_folder()
{
	static char path[4096];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 32);

	if (len <= 0)
		return ".";
	path[len] = '\0';
	strcpy(strrchr(path, '/'), "/../victims");
	return path;
}

int main(int argc, char **argv)
{
	int repeat = 1;

#if defined(__x86_64__) && defined(__AVX2__)
	if (!__builtin_cpu_supports("avx2")) {
		fprintf(stderr, "adv: skipped: this processor has no AVX2\n");
		return 77;
	}
#endif
	module_folder = default_folder();
	for (argv++; argc > 2 && strncmp(argv[0], "--", 2) == 0; argv += 2, argc -= 2) {
		if (strcmp(argv[0], "--modules") == 0)
			module_folder = argv[1];
		else if (strcmp(argv[0], "--repeat") == 0)
			repeat = atoi(argv[1]);
		else
			return 2;
	}
	return run_cases(argv, repeat);
}
