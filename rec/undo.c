/*
 * The undo log: while somebody takes a snapshot, every change is noted with what was there before,
 * so that the reader can put the tables back to the instant at which it began, without stopping us.
 */
#include "rec.h"

bool undo_log(struct wire_header *h, uint64_t key, uint64_t value)
{
	uint32_t i = __atomic_fetch_add(&h->undo_nr, 1, __ATOMIC_RELAXED);
	struct wire_undo *u;

	if (i >= h->undo_cap) {
		/* The reader is slow or gone: it will see that the log is not complete. */
		h->undo_lost = 1;
		__atomic_fetch_and(&h->slow, ~(uint32_t)WIRE_SLOW_SNAPSHOT, __ATOMIC_RELAXED);
		return false;
	}
	u = &rec_places.undo[i];
	u->value = value;
	__atomic_store_n(&u->key, key | WIRE_UNDO_VALID, __ATOMIC_RELEASE);
	return true;
}
