/*
 * The table's clock where no launcher drives it (seep flags): it moves when the heap grows, and
 * when seep looks. Only the vDSO is asked, so that no sandbox ever sees a system call for it.
 */
#ifndef SEEP_REC_CLOCK_H
#define SEEP_REC_CLOCK_H

#include "wire/wire.h"

/* From now on the clock is ours. */
void clock_start(void);
/* Sets it, if it is ours. */
void clock_tick(struct wire_header *h);

#endif
