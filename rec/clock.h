/*
 * The time, of which only the vDSO is asked, so that no sandbox ever sees a system call for it. And
 * the table's clock where no launcher drives it (seep flags): it moves when the heap grows, and
 * when seep looks.
 */
#ifndef SEEP_REC_CLOCK_H
#define SEEP_REC_CLOCK_H

#include "wire/wire.h"

void clock_find(void); /* once, before the others */
/* From now on the table's clock is ours. */
void clock_start(void);
/* CLOCK_MONOTONIC; where there is no vDSO, what the table's clock shows. */
uint64_t clock_now_ns(const struct wire_header *h);
/* Sets it, if it is ours. */
void clock_tick(struct wire_header *h);

#endif
