/*
 * A CPU information: like battery.h, with one block that describes CPU_INFO_COUNT processors.
 */
#ifndef BATTERYMETER_CPU_H
#define BATTERYMETER_CPU_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uchar.h>

#define CPU_INFO_COUNT 5

struct cpu_info_internal {
	char16_t additional_data[256];
	int32_t sizes[100];
};
_Static_assert(sizeof(struct cpu_info_internal) == 912, "the lab's size");

struct cpu_info {
	struct cpu_info_internal *info; /* CPU_INFO_COUNT of them, or NULL */
};

static inline void cpu_info_init(struct cpu_info *c)
{
	static const char16_t title[] = u"CPU Internal Info Structure";

	c->info = malloc(CPU_INFO_COUNT * sizeof(*c->info));
	for (int i = 0; c->info && i < CPU_INFO_COUNT; i++)
		memcpy(c->info[i].additional_data, title, sizeof(title));
}

/* The same bug again: nothing frees c->info. */
static inline void cpu_info_release(struct cpu_info *c)
{
	(void)c;
}

/* Spreads `degrees` over the processors and returns the mean, which the meter shows. */
int cpu_info_measure(struct cpu_info *c, int degrees);

#endif
