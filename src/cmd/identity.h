/* Who a snapshot is of, from what /proc says. */
#ifndef SEEP_CMD_IDENTITY_H
#define SEEP_CMD_IDENTITY_H

#include <stdint.h>

struct process_info;
struct snapshot;

/* Fills s->identity; image as in struct identity. */
void identity_fill(struct snapshot *s, const struct process_info *who, uint32_t image);
uint64_t clock_realtime_ns(void);
uint64_t clock_monotonic_ns(void);

#endif
