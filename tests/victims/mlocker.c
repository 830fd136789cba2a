/*
 * Locks all its memory, now and in future, as real-time programs do. Then every mapping is made
 * resident at once: a recorder that reserves much and uses little must not pay for all of it, nor
 * make the program fail.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "truth.h"

static NOINLINE void allocate_locked(void)
{
	struct truth_site *s = truth_at(__func__);
	void *p;

	for (int i = 0; i < 2000; i++) {
		p = truth_born(s, malloc(opaque(200)), 200);
		truth_check(p != NULL, "memory can be had while locked");
		if (i % 4 == 0) {
			truth_died(s, 200);
			free(p);
		}
	}
	truth_check(truth_born(s, malloc(opaque(1 << 20)), 1 << 20) != NULL,
		    "a big block can be had while locked");
}

static long status_kib(const char *key)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	long kib = -1;

	while (f && kib < 0 && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0)
			kib = strtol(line + strlen(key), NULL, 10);
	if (f)
		fclose(f);
	return kib;
}

int main(int argc, char **argv)
{
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0) {
		fprintf(stderr, "victim: skipped: may not lock memory: %s\n", strerror(errno));
		return SKIPPED;
	}
	allocate_locked();
	truth_note("locked_kib", "%ld", status_kib("VmLck:"));
	truth_note("resident_kib", "%ld", status_kib("VmRSS:"));
	truth_print("mlocker", "end");
	truth_wait(argc, argv);
	return truth_status();
}
