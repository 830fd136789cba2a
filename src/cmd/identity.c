/* Who a snapshot is of; see identity.h. */
#include "cmd/identity.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "model/snapshot.h"
#include "target/process.h"

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

uint64_t clock_realtime_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

uint64_t clock_monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

void identity_fill(struct snapshot *s, const struct process_info *who, uint32_t image)
{
	struct identity *id = &s->identity;
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	id->pid = who->pid;
	id->start_ticks = who->start_ticks;
	id->image = image;
	memcpy(id->boot_id, who->boot_id, sizeof(id->boot_id));
	id->name = strings_add(&s->strings, process_name(who));
	id->exe = strings_add(&s->strings, who->exe ? who->exe : "");
	id->host = strings_add(&s->strings, host);
}
