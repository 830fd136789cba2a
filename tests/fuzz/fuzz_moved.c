/*
 * Moving the first instructions of any code: a result that makes sense, or a reason. The first byte
 * of the input says how much is to be taken.
 */
#include <string.h>

#include "driver.h"
#include "inject/moved.h"

static void check(const struct moved *m, size_t need, uint64_t at, uint64_t to)
{
	uint8_t back = m->steps[m->nr_steps - 1].to;
	int32_t distance;

	FUZZ_MUST(m->taken >= need && m->taken < need + 15);
	FUZZ_MUST(m->code_nr <= sizeof(m->code) && m->nr_steps <= MOVED_STEPS_MAX);
	FUZZ_MUST(m->nr_steps >= 2 && !m->steps[0].from && !m->steps[0].to);
	for (size_t i = 1; i < m->nr_steps; i++) {
		FUZZ_MUST(m->steps[i].from > m->steps[i - 1].from);
		FUZZ_MUST(m->steps[i].to > m->steps[i - 1].to);
	}
	/* The way back leads behind what was taken. */
	FUZZ_MUST(back + 5 <= m->code_nr && m->code[back] == 0xe9);
	memcpy(&distance, m->code + back + 1, sizeof(distance));
	FUZZ_MUST(to + back + 5 + (uint64_t)(int64_t)distance == at + m->taken);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint64_t at = 0x7f1234567890, to = at + 0x12345678;
	const char *why = NULL;
	struct moved m;
	size_t need;

	if (size < 1)
		return 0;
	need = 5 + data[0] % 10;
	if (moved_make(data + 1, size - 1, at, to, need, &m, &why) == 0)
		check(&m, need, at, to);
	else
		FUZZ_MUST(why && *why);
	return 0;
}
