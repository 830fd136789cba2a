/*
 * Starts itself again with little address space and allocates until there is no more. A recorder
 * has to live with what is left, or stand aside; the program must still get its memory.
 *
 * lowas [MIB] [--wait]
 */
#include <stdlib.h>
#include <sys/resource.h>

#include "truth.h"

#define INSIDE "LOWAS_INSIDE"
#define PIECE (256 * 1024)

static NOINLINE void allocate_small(void)
{
	struct truth_site *s = truth_at(__func__);

	for (int i = 0; i < 1000; i++)
		truth_check(truth_born(s, malloc(opaque(1000)), 1000) != NULL,
			    "the first megabyte can be had");
}

/* Takes all there is, gives all back but the first piece, and takes some of it again. */
static NOINLINE void allocate_all(void)
{
	struct truth_site *s = truth_at(__func__);
	void **last = NULL, **piece;
	int pieces = 0;

	while ((piece = truth_born(s, malloc(opaque(PIECE)), PIECE))) {
		*piece = last;
		last = piece;
		pieces++;
	}
	truth_check(errno == ENOMEM, "the end of memory is told by ENOMEM");
	for (; last && *last; last = piece) {
		piece = *last;
		truth_died(s, PIECE);
		free(last);
	}
	truth_note("pieces", "%d", pieces);
	truth_check(pieces > 4 && truth_born(s, malloc(opaque(PIECE)), PIECE) != NULL,
		    "what was given back can be had again");
}

static int restart_inside(char **argv, unsigned long mib)
{
	struct rlimit limit = {.rlim_cur = mib << 20, .rlim_max = mib << 20};

	if (setenv(INSIDE, "1", 1) < 0 || setrlimit(RLIMIT_AS, &limit) < 0)
		return SKIPPED;
	execv("/proc/self/exe", argv);
	return SKIPPED;
}

int main(int argc, char **argv)
{
	unsigned long mib = argc > 1 && argv[1][0] != '-' ? strtoul(argv[1], NULL, 10) : 64;

	if (!getenv(INSIDE))
		return restart_inside(argv, mib);
	allocate_small();
	allocate_all();
	truth_note("limit_mib", "%lu", mib);
	truth_print("lowas", "end");
	truth_wait(argc, argv);
	return truth_status();
}
