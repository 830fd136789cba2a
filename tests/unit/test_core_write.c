/* core_write(): targets that are made up, written and read again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "target/core_regs.h"
#include "target/core_write.h"
#include "target/target_private.h"

#define BASE 0x10000000000ull
#define PAGE 4096ull
#define PID 0x7ffffff0 /* of no process: only what is made up counts */

/* Memory by rule: every byte follows from its address; what is not there must not be read. */
struct fake {
	uint64_t present_from, present_to; /* only these pages are in memory */
	uint64_t broken;		   /* reads end here; 0: never */
	uint64_t zero_from, zero_to;	   /* there, and zeros */
	size_t bad_reads, thaws;
};

static uint8_t byte_at(const struct fake *f, uint64_t addr)
{
	if (addr >= f->zero_from && addr < f->zero_to)
		return 0;
	return (uint8_t)((addr >> 12) * 7 + addr % 251 + 1);
}

static size_t fake_read(struct target *t, uint64_t addr, void *buffer, size_t len)
{
	struct fake *f = t->state;

	if (f->broken && addr + len > f->broken)
		len = addr < f->broken ? (size_t)(f->broken - addr) : 0;
	if (len && (addr < f->present_from || addr + len > f->present_to))
		f->bad_reads++;
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buffer)[i] = byte_at(f, addr + i);
	return len;
}

static int fake_residency(struct target *t, uint64_t start, uint64_t end,
			  struct target_residency *ret)
{
	const struct fake *f = t->state;
	uint64_t from = start > f->present_from ? start : f->present_from;
	uint64_t to = end < f->present_to ? end : f->present_to;

	*ret = (struct target_residency){.resident_bytes = to > from ? to - from : 0};
	return 0;
}

static void fake_thaw(struct target *t)
{
	((struct fake *)t->state)->thaws++;
}

static void fake_close(struct target *t)
{
	free(t->state);
}

static const struct target_ops fake_ops = {
	.read = fake_read,
	.residency = fake_residency,
	.thaw = fake_thaw,
	.close = fake_close,
};

static struct target *fake_target(uint16_t machine, struct fake **ret)
{
	struct target *t = target_new();
	struct fake *f = mem_alloc(sizeof(*f));

	f->present_to = UINT64_MAX;
	t->ops = &fake_ops;
	t->state = f;
	t->machine = machine;
	t->word_bytes = core_regs_of(machine)->word_bytes;
	t->process.pid = PID;
	t->process.state = 'S';
	snprintf(t->process.comm, sizeof(t->process.comm), "made-up");
	t->process.command = mem_strdup("made-up --of nothing");
	*ret = f;
	return t;
}

static void add_map(struct target *t, uint64_t start, uint64_t pages, uint8_t prot,
		    const char *path)
{
	struct map m = {.start = start,
			.end = start + pages * PAGE,
			.prot = prot,
			.path = path,
			.inode = *path == '/'};

	ARRAY_PUSH(t->maps.items, t->maps.nr, t->maps.cap, m);
}

static void add_thread(struct target *t, int32_t tid, uint8_t seed, size_t xstate_bytes)
{
	const struct core_regs *r = core_regs_of(t->machine);
	struct target_thread *thread = target_add_thread(t, tid, "");
	uint8_t *gp = mem_alloc(r->regs_bytes), *xstate = mem_alloc(xstate_bytes);

	memset(gp, seed, r->regs_bytes);
	memset(xstate, seed + 1, xstate_bytes);
	target_set_raw_registers(thread, gp, r->regs_bytes, xstate, xstate_bytes);
	thread->tp = 0x4321000;
	free(gp);
	free(xstate);
}

struct folder {
	char path[64], file[80];
};

static int make_folder(void **state)
{
	struct folder *f = mem_alloc(sizeof(*f));

	snprintf(f->path, sizeof(f->path), "/tmp/seep-core-XXXXXX");
	if (!mkdtemp(f->path))
		return -1;
	snprintf(f->file, sizeof(f->file), "%s/core", f->path);
	*state = f;
	return 0;
}

/* Nothing but the core may be left. */
static int remove_folder(void **state)
{
	struct folder *f = *state;
	int err;

	unlink(f->file);
	err = rmdir(f->path);
	free(f);
	return err;
}

static struct target *write_and_open(struct target *t, const char *path, struct core_written *w)
{
	struct core_write_options o = {.everything = false};
	struct error e = {0};
	struct target *core = NULL;

	if (core_write(t, path, &o, w, &e) < 0 || target_open_core(path, NULL, &core, &e) < 0)
		fail_msg("%s", e.message);
	return core;
}

static void check_memory(struct target *core, const struct fake *f, uint64_t start, uint64_t end)
{
	uint8_t got[PAGE];

	for (uint64_t page = start; page < end; page += PAGE) {
		assert_int_equal(target_read(core, page, got, PAGE), PAGE);
		for (size_t i = 0; i < PAGE; i++) {
			uint64_t addr = page + i;
			bool there = addr >= f->present_from && addr < f->present_to;

			if (got[i] != (there ? byte_at(f, addr) : 0))
				fail_msg("byte at %#llx", (unsigned long long)addr);
		}
	}
}

static void memory_comes_back(void **state)
{
	struct folder *dir = *state;
	struct core_written w;
	struct target *core, *t;
	struct fake *f;
	struct stat st;

	t = fake_target(EM_X86_64, &f);
	add_map(t, BASE, 1000, MAP_READ | MAP_WRITE, "");
	add_map(t, BASE + 1000 * PAGE, 3, 0, "");
	f->present_from = BASE + 300 * PAGE;
	f->present_to = BASE + 700 * PAGE;
	f->zero_from = BASE + 400 * PAGE;
	f->zero_to = BASE + 500 * PAGE;
	core = write_and_open(t, dir->file, &w);
	check_memory(core, f, BASE, BASE + 1000 * PAGE);
	assert_int_equal(f->bad_reads, 0); /* pages that were never touched were not read */
	assert_true(f->thaws > 0);
	assert_int_equal(w.stored_bytes, 300 * PAGE);
	assert_int_equal(w.unread_bytes, 0);
	assert_int_equal(stat(dir->file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(st.st_size >= 1000 * (off_t)PAGE);
	assert_true((uint64_t)st.st_blocks * 512 < 400 * PAGE);
	target_close(core);
	target_close(t);
}

static void what_cannot_be_read_is_missing(void **state)
{
	struct folder *dir = *state;
	struct target_gaps g;
	struct core_written w;
	struct target *core, *t;
	struct fake *f;
	uint8_t got[16];

	t = fake_target(EM_X86_64, &f);
	add_map(t, BASE, 600, MAP_READ | MAP_WRITE, "");
	f->present_from = BASE;
	f->broken = BASE + 300 * PAGE;
	core = write_and_open(t, dir->file, &w);
	assert_int_equal(w.unread_bytes, 300 * PAGE);
	check_memory(core, f, BASE, BASE + 300 * PAGE);
	assert_int_equal(target_read(core, BASE + 300 * PAGE, got, sizeof(got)), 0);
	target_gaps(core, &g);
	assert_int_equal(g.missing_bytes, 300 * PAGE);
	target_close(core);
	target_close(t);
}

static const struct target_thread *thread(const struct target *t, int32_t tid)
{
	size_t nr;
	const struct target_thread *threads = target_threads(t, &nr);

	for (size_t i = 0; i < nr; i++) {
		if (threads[i].tid == tid)
			return &threads[i];
	}
	fail_msg("no thread %d", tid);
	return NULL;
}

static void check_thread(const struct target *core, int32_t tid, uint8_t seed, size_t xstate_bytes)
{
	const struct target_thread *found = thread(core, tid);

	assert_int_equal(found->gp_bytes, core_regs_of(target_machine(core))->regs_bytes);
	for (size_t i = 0; i < found->gp_bytes; i++)
		assert_int_equal(found->gp[i], seed);
	assert_int_equal(found->xstate_bytes, xstate_bytes);
	for (size_t i = 0; i < found->xstate_bytes; i++)
		assert_int_equal(found->xstate[i], seed + 1);
}

static void threads_and_names_come_back(void **state)
{
	struct folder *dir = *state;
	struct core_written w;
	struct target *core, *t;
	struct fake *f;
	size_t nr;

	t = fake_target(EM_X86_64, &f);
	add_map(t, BASE, 1, MAP_READ, "/some/lib.so");
	add_map(t, BASE + 4 * PAGE, 1, MAP_READ | MAP_WRITE, "");
	add_thread(t, 4711, 3, 2688);
	add_thread(t, PID, 5, 2688);
	target_add_thread(t, 4712, "");
	core = write_and_open(t, dir->file, &w);
	assert_int_equal(w.nr_threads, 3);
	assert_int_equal(w.nr_without_registers, 1);
	/* The main thread is the first, whatever order they came in. */
	assert_int_equal(target_threads(core, &nr)[0].tid, PID);
	assert_int_equal(nr, 2);
	check_thread(core, PID, 5, 2688);
	check_thread(core, 4711, 3, 2688);
	assert_string_equal(target_process(core)->comm, "made-up");
	assert_string_equal(target_process(core)->command, "made-up --of nothing");
	assert_string_equal(target_maps(core)->items[0].path, "/some/lib.so");
	target_close(core);
	target_close(t);
}

static void other_machines_come_back(void **state)
{
	static const uint16_t machines[] = {EM_386, EM_AARCH64};
	struct folder *dir = *state;

	for (size_t i = 0; i < 2; i++) {
		struct core_written w;
		struct target *core, *t;
		struct fake *f;

		t = fake_target(machines[i], &f);
		add_map(t, 0x10000, 2, MAP_READ | MAP_WRITE, "");
		add_thread(t, PID, 9, 528);
		core = write_and_open(t, dir->file, &w);
		assert_int_equal(target_machine(core), machines[i]);
		check_memory(core, f, 0x10000, 0x12000);
		check_thread(core, PID, 9, 528);
		assert_int_equal(thread(core, PID)->tp, 0x4321000);
		target_close(core);
		target_close(t);
	}
}

static void more_mappings_than_a_header_counts(void **state)
{
	struct folder *dir = *state;
	struct core_written w;
	struct target *core, *t;
	struct fake *f;
	size_t nr = 66000;

	t = fake_target(EM_X86_64, &f);
	for (size_t i = 0; i < nr; i++)
		add_map(t, BASE + i * 2 * PAGE, 1, MAP_READ | MAP_WRITE, "");
	f->present_from = BASE + (nr - 1) * 2 * PAGE;
	core = write_and_open(t, dir->file, &w);
	assert_int_equal(target_maps(core)->nr, nr);
	check_memory(core, f, BASE + (nr - 2) * 2 * PAGE, BASE + (nr - 2) * 2 * PAGE + PAGE);
	check_memory(core, f, BASE + (nr - 1) * 2 * PAGE, BASE + (nr - 1) * 2 * PAGE + PAGE);
	target_close(core);
	target_close(t);
}

/* A stream cannot be sparse; the core is the same. */
static void a_stream_has_the_same_bytes(void **state)
{
	struct folder *dir = *state;
	struct core_write_options o = {.everything = false};
	struct core_written w;
	struct error e = {0};
	struct target *core, *t;
	struct fake *f;
	int out, keep;

	t = fake_target(EM_X86_64, &f);
	add_map(t, BASE, 1000, MAP_READ | MAP_WRITE, "");
	add_map(t, BASE + 2000 * PAGE, 10, MAP_READ | MAP_WRITE, "");
	f->present_from = BASE + 300 * PAGE;
	f->present_to = BASE + 2005 * PAGE;
	f->zero_from = BASE + 400 * PAGE;
	f->zero_to = BASE + 500 * PAGE;
	out = open(dir->file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	keep = dup(STDOUT_FILENO);
	assert_true(out >= 0 && keep >= 0);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	assert_int_equal(core_write(t, "-", &o, &w, &e), 0);
	dup2(keep, STDOUT_FILENO);
	close(out);
	close(keep);
	assert_int_equal(target_open_core(dir->file, NULL, &core, &e), 0);
	check_memory(core, f, BASE, BASE + 1000 * PAGE);
	check_memory(core, f, BASE + 2000 * PAGE, BASE + 2010 * PAGE);
	target_close(core);
	target_close(t);
}

static void an_interrupt_leaves_nothing(void **state)
{
	static const volatile sig_atomic_t now = SIGINT;
	struct folder *dir = *state;
	struct core_write_options o = {.stop = &now};
	struct core_written w;
	struct error e = {0};
	struct target *t;
	struct fake *f;

	t = fake_target(EM_X86_64, &f);
	add_map(t, BASE, 10, MAP_READ | MAP_WRITE, "");
	assert_int_equal(core_write(t, dir->file, &o, &w, &e), -EINTR);
	assert_true(f->thaws > 0);
	assert_int_equal(access(dir->file, F_OK), -1);
	target_close(t);
}

/* A device that is always full. */
static void a_full_disk_is_told(void **state)
{
	struct core_write_options o = {.everything = false};
	struct core_written w;
	struct error e = {0};
	struct target *t;
	struct fake *f;

	(void)state;
	t = fake_target(EM_X86_64, &f);
	add_map(t, BASE, 10, MAP_READ | MAP_WRITE, "");
	assert_int_equal(core_write(t, "/dev/full", &o, &w, &e), -ENOSPC);
	assert_int_equal(e.status, EXIT_FILE);
	assert_string_equal(e.message, "cannot write '/dev/full': No space left on device");
	assert_string_equal(e.hint, "free some space, or write to another file system");
	target_close(t);
}

int main(void)
{
#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
	const struct CMUnitTest tests[] = {
		IN_FOLDER(memory_comes_back),
		IN_FOLDER(what_cannot_be_read_is_missing),
		IN_FOLDER(threads_and_names_come_back),
		IN_FOLDER(other_machines_come_back),
		IN_FOLDER(more_mappings_than_a_header_counts),
		IN_FOLDER(a_stream_has_the_same_bytes),
		IN_FOLDER(an_interrupt_leaves_nothing),
		cmocka_unit_test(a_full_disk_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
