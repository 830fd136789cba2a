/* Marks that the program makes; see wire/marks.h. */
#include "wire/marks.h"

#include "clock.h"
#include "rec.h"
#include "told.h"

void rec_mark(const char *name)
{
	struct wire_header *h = rec_open();
	struct wire_summing sums;

	if (!h || !rec_use_begin(h))
		return;
	sums = (struct wire_summing){
		.header = h,
		.counts = rec_places.counts,
		.threads = rec_places.base + h->threads_off,
		.thread_stride = h->thread_stride,
		.counts_cap = rec_places.nodes_cap,
		.threads_cap = h->threads_cap,
	};
	wire_mark_make(h, rec_places.marks, h->marks_cap, &sums, name ? name : "", clock_now_ns(h));
	rec_use_end();
}
TOLD_EXPORT(mark);
