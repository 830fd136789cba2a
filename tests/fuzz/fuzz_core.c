/* An ELF core, however damaged: regions in order, reads that stay within them, sums that fit. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "driver.h"
#include "target/maps.h"
#include "target/process.h"
#include "target/target.h"

#define REGIONS_READ 64

static void check_regions(struct target *t)
{
	const struct maps *maps = target_maps(t);
	static uint8_t buffer[70000];
	uint64_t end = 0;

	for (size_t i = 0; i < maps->nr; i++) {
		const struct map *m = &maps->items[i];
		uint64_t len = m->end - m->start;
		size_t want = len < sizeof(buffer) ? (size_t)len : sizeof(buffer);

		FUZZ_MUST(m->start < m->end && m->start >= end && m->path);
		end = m->end;
		if (i >= REGIONS_READ)
			continue;
		FUZZ_MUST(target_read(t, m->start, buffer, want) <= want);
		FUZZ_MUST(target_read(t, m->end - 1, buffer, sizeof(buffer)) <= sizeof(buffer));
	}
	FUZZ_MUST(target_read(t, end, buffer, 1) == 0 || end == 0);
}

static void check_threads(const struct target *t)
{
	size_t nr;
	const struct target_thread *threads = target_threads(t, &nr);

	for (size_t i = 0; i < nr; i++) {
		FUZZ_MUST(threads[i].has_registers && threads[i].registers);
		FUZZ_MUST(threads[i].registers_bytes ==
			  threads[i].gp_bytes + threads[i].xstate_bytes);
		FUZZ_MUST(memchr(threads[i].name, 0, sizeof(threads[i].name)));
	}
}

static void check_gaps(const struct target *t)
{
	const struct maps *maps = target_maps(t);
	struct str text = STR_INIT;
	struct target_gaps g;
	bool any = target_gaps(t, &g);

	FUZZ_MUST(g.missing_regions <= maps->nr);
	FUZZ_MUST((g.missing_bytes != 0) == (g.missing_regions != 0));
	target_gaps_describe(&g, &text);
	FUZZ_MUST(any == (text.len != 0));
	str_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct error e = {0};
	struct target *t = NULL;
	char path[64];

	if (fd < 0)
		fd = memfd_create("fuzz", MFD_CLOEXEC);
	FUZZ_MUST(fd >= 0 && ftruncate(fd, 0) == 0);
	FUZZ_MUST(pwrite(fd, data, size, 0) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (target_open_core(path, NULL, &t, &e) < 0) {
		FUZZ_MUST(!t && e.err < 0 && e.message[0] && e.status == EXIT_FILE);
		return 0;
	}
	FUZZ_MUST(target_is_core(path));
	FUZZ_MUST(target_word_bytes(t) == 8 || target_word_bytes(t) == 4);
	FUZZ_MUST(target_process(t)->exe && target_process(t)->command);
	check_regions(t);
	check_threads(t);
	check_gaps(t);
	target_close(t);
	return 0;
}
