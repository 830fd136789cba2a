/* The arithmetic behind a CPU information; see cpu.h. */
#include "cpu.h"

int cpu_info_measure(struct cpu_info *c, int degrees)
{
	size_t count = sizeof(c->info->sizes) / sizeof(c->info->sizes[0]);
	long sum = 0;

	if (!c->info)
		return degrees;
	for (int cpu = 0; cpu < CPU_INFO_COUNT; cpu++) {
		for (size_t i = 0; i < count; i++)
			c->info[cpu].sizes[i] = degrees;
		sum += c->info[cpu].sizes[0];
	}
	return (int)(sum / CPU_INFO_COUNT);
}
