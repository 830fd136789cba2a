/* mlockall without our own mapping: see hook_mlockall. */
#include "procmaps.h"
#include "rec.h"
#include "sys.h"

bool rec_lock_mappings(void)
{
	uint64_t own = (uint64_t)rec_places.base;
	struct procmaps_line l = {0};
	char buffer[512];
	long fd = sys_open_read("/proc/self/maps"), n, r = 0;

	if (fd < 0)
		return false;
	while (!r && (n = sys3(SYS_read, fd, (long)buffer, sizeof(buffer))) > 0) {
		for (long i = 0; i < n && !r; i++) {
			if (!procmaps_feed(&l, buffer[i]))
				continue;
			/* mlockall passes over what cannot be read, and over the kernel's own */
			if (l.low != own && l.low < 1ull << 47 && l.readable)
				r = sys2(SYS_mlock, (long)l.low, (long)(l.high - l.low));
			l = (struct procmaps_line){0};
		}
	}
	sys1(SYS_close, fd);
	return !r;
}
