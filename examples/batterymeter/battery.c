/* The arithmetic behind a battery information; see battery.h. */
#include "battery.h"

int battery_info_measure(struct battery_info *b, int percent)
{
	size_t count = sizeof(b->info->calc_buf) / sizeof(b->info->calc_buf[0]);
	float sum = 0;

	if (!b->info)
		return percent;
	for (size_t i = 0; i < count; i++)
		b->info->calc_buf[i] = (float)percent;
	for (size_t i = 0; i < count; i++)
		sum += b->info->calc_buf[i];
	return (int)(sum / (float)count + 0.5f);
}
