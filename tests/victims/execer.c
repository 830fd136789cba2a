/*
 * Executes itself in stages: each image allocates, tells its truth, and is replaced by the next.
 *
 * execer [STAGES] [--wait]
 */
#include <stdlib.h>

#include "truth.h"

static NOINLINE void allocate_stage(long stage)
{
	struct truth_site *s = truth_at(__func__);

	for (long i = 0; i < 10 * (stage + 1); i++)
		truth_born(s, malloc(opaque(100)), 100);
}

int main(int argc, char **argv)
{
	long stages = argc > 1 && argv[1][0] != '-' ? atol(argv[1]) : 3;
	char next[32];

	allocate_stage(stages);
	truth_note("stages_left", "%ld", stages);
	truth_print("execer", stages > 0 ? "stage" : "end");
	if (stages > 0) {
		snprintf(next, sizeof(next), "%ld", stages - 1);
		execl("/proc/self/exe", argv[0], next, argc > 2 ? argv[2] : (char *)NULL,
		      (char *)NULL);
		return 1;
	}
	truth_wait(argc, argv);
	return truth_status();
}
