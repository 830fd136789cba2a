/* A thread's registers as the kernel gave them; see target_private.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "target/target_private.h"

void target_set_raw_registers(struct target_thread *thread, const void *gp, size_t gp_bytes,
			      const void *xstate, size_t xstate_bytes)
{
	uint8_t *bytes;

	target_release_raw_registers(thread);
	gp_bytes = gp ? gp_bytes : 0;
	xstate_bytes = xstate ? xstate_bytes : 0;
	if (!gp_bytes && !xstate_bytes)
		return;
	bytes = mem_alloc(gp_bytes + xstate_bytes);
	if (gp_bytes) {
		memcpy(bytes, gp, gp_bytes);
		thread->gp = bytes;
		thread->gp_bytes = gp_bytes;
	}
	if (xstate_bytes) {
		memcpy(bytes + gp_bytes, xstate, xstate_bytes);
		thread->xstate = bytes + gp_bytes;
		thread->xstate_bytes = xstate_bytes;
	}
}

void target_release_raw_registers(struct target_thread *thread)
{
	free((void *)(thread->gp ? thread->gp : thread->xstate));
	thread->gp = thread->xstate = NULL;
	thread->gp_bytes = thread->xstate_bytes = 0;
}
