/*
 * A battery information: a small object on the caller's stack that owns one internal block.
 *
 * The constructor and the destructor are inline on purpose: the optimised build has no frame for
 * them, so a tool must read the inline records to name the line that allocates.
 */
#ifndef BATTERYMETER_BATTERY_H
#define BATTERYMETER_BATTERY_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uchar.h>

struct battery_info_internal {
	char16_t data[1024];
	float calc_buf[256];
};
_Static_assert(sizeof(struct battery_info_internal) == 3072, "the lab's size");

struct battery_info {
	struct battery_info_internal *info; /* NULL when there was no memory */
};

static inline void battery_info_init(struct battery_info *b)
{
	static const char16_t title[] = u"Battery Internal Info Structure";

	b->info = malloc(sizeof(*b->info));
	if (b->info)
		memcpy(b->info->data, title, sizeof(title));
}

/* The bug that this program exists for: nothing frees b->info. */
static inline void battery_info_release(struct battery_info *b)
{
	(void)b;
}

/* Smooths `percent` over the calculation buffer and returns what the meter should show. */
int battery_info_measure(struct battery_info *b, int percent);

#endif
