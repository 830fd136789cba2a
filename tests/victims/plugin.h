/* Between plugin.c and the two modules that it loads at the same address, one after the other. */
#ifndef SEEP_VICTIM_PLUGIN_H
#define SEEP_VICTIM_PLUGIN_H

#include <stddef.h>

struct plugin_host {
	void (*leaked)(void *block, size_t size); /* tells the host about a block that stays */
};

/* `plugin_run` in each module. */
typedef void plugin_run_fn(const struct plugin_host *host, int depth);

#endif
