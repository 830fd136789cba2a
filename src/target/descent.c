/* See descent.h. */
#include "target/descent.h"

#include <unistd.h>

#include "target/proc.h"
#include "target/process.h"

#define GENERATIONS_MAX 256 /* parents may change while we climb: an end in any case */

/* 0: none, or not to be found out. */
static int32_t parent_of(int32_t pid)
{
	struct process_info info;
	int32_t parent = 0;
	int dir = proc_open(pid);

	if (dir < 0)
		return 0;
	if (!process_read_at(dir, pid, &info)) {
		parent = info.ppid;
		process_info_release(&info);
	}
	close(dir);
	return parent;
}

bool is_descendant(int32_t pid, int32_t ancestor)
{
	for (int i = 0; i < GENERATIONS_MAX && pid > 1; i++) {
		pid = parent_of(pid);
		if (pid == ancestor)
			return true;
	}
	return false;
}
