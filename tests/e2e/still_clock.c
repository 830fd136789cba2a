/*
 * Preloaded, it makes time() stand still: libxml2 seeds its dictionaries with it, and how many
 * blocks a dictionary takes depends on the seed.
 */
#include <time.h>

time_t time(time_t *ret)
{
	if (ret)
		*ret = 1577836800;
	return 1577836800;
}
