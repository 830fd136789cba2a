/* Memory figures from /proc/PID/status and smaps_rollup, descriptors from /proc/PID/fd. */
#include "target/usage.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "target/proc.h"
#include "target/process.h"

static void set(struct usage *u, enum usage_field field, uint64_t value)
{
	u->value[field] = value;
	u->known |= 1u << field;
}

static void take(struct usage *u, enum usage_field field, const char *text, const char *key)
{
	uint64_t value;

	if (proc_find_value(text, key, &value))
		set(u, field, value);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int usage_read_at(int dir, unsigned int wanted, struct usage *ret)
{
	static const struct {
		enum usage_field field;
		const char *key;
	} fields[] = {
		{USAGE_RSS, "VmRSS"},	    {USAGE_ANON, "RssAnon"},   {USAGE_FILE, "RssFile"},
		{USAGE_SHMEM, "RssShmem"},  {USAGE_SWAP, "VmSwap"},    {USAGE_PAGE_TABLES, "VmPTE"},
		{USAGE_THREADS, "Threads"}, {USAGE_PEAK_RSS, "VmHWM"},
	};
	struct usage u = {.t_ns = now_ns()};
	struct str text = STR_INIT;
	size_t len, nr;
	int32_t *numbers;
	const char *state;
	int r;

	r = proc_read_file(dir, "status", &text);
	if (r < 0)
		goto out;
	state = proc_find_line(text.data, "State", &len);
	if (state && len && (*state == 'Z' || *state == 'X')) {
		r = -ESRCH;
		goto out;
	}
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		take(&u, fields[i].field, text.data, fields[i].key);
	if (wanted & USAGE_WANT_PSS) {
		str_clear(&text);
		if (!proc_read_file(dir, "smaps_rollup", &text))
			take(&u, USAGE_PSS, text.data, "Pss");
	}
	if ((wanted & USAGE_WANT_DESCRIPTORS) && !proc_list_numbers(dir, "fd", &numbers, &nr)) {
		set(&u, USAGE_DESCRIPTORS, nr);
		free(numbers);
	}
	*ret = u;
out:
	str_release(&text);
	return r == -ENOENT ? -ESRCH : r;
}

int usage_read(int32_t pid, uint64_t start_ticks, unsigned int wanted, struct usage *ret)
{
	int dir, r;

	dir = proc_open(pid);
	if (dir < 0)
		return dir;
	/* From here on the descriptor keeps to the process that was checked. */
	r = process_check_at(dir, start_ticks);
	if (!r)
		r = usage_read_at(dir, wanted, ret);
	close(dir);
	return r;
}

bool usage_own_bytes(const struct usage *u, uint64_t *ret)
{
	uint64_t swap = usage_has(u, USAGE_SWAP) ? u->value[USAGE_SWAP] : 0;
	enum usage_field resident = usage_has(u, USAGE_ANON) ? USAGE_ANON : USAGE_RSS;

	if (!usage_has(u, resident))
		return false;
	*ret = u->value[resident] + swap;
	return true;
}
