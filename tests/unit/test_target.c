/* target/target: a child of this test as a live target, and windows over its memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "target/maps.h"
#include "target/process.h"
#include "target/smaps.h"
#include "target/target.h"
#include "target/target_private.h"
#include "target/window.h"

#define PAGES 16

/* Inherited by the child at the same address. Pages 0, 1 and 5 are touched there; 15 is a hole. */
static uint8_t *memory;
static long page;
static pid_t child;

static int start(void **state)
{
	int ready[2];
	char byte;

	(void)state;
	page = sysconf(_SC_PAGESIZE);
	memory = mmap(NULL, (size_t)(PAGES * page), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || pipe2(ready, O_CLOEXEC))
		return -1;
	child = fork();
	if (child == 0) {
		for (long i = 0; i < 2 * page; i++)
			memory[i] = (uint8_t)(i * 7);
		memcpy(memory + 5 * page, "five", 5);
		memset(memory + 6 * page - 8, 'x', 8);
		munmap(memory + 15 * page, (size_t)page);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (child < 0 || read(ready[0], &byte, 1) != 1)
		return -1;
	close(ready[0]);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return 0;
}

static struct target *open_live(void)
{
	const struct target_options o = {.wish = TARGET_WISH_LIVE};
	struct target *t;

	assert_int_equal(target_open_pid(child, &o, &t, NULL), 0);
	return t;
}

static void reads_what_is_there(void **state)
{
	uint64_t at = (uint64_t)(uintptr_t)memory, word;
	uint8_t *copy = malloc((size_t)(PAGES * page));
	struct target *t = open_live();
	char text[16];

	(void)state;
	assert_int_equal(target_how(t)->kind, TARGET_LIVE);
	assert_false(target_how(t)->consistent);
	assert_int_equal(target_read(t, at, copy, (size_t)(PAGES * page)), 15 * page);
	for (long i = 0; i < 2 * page; i++)
		assert_int_equal(copy[i], (uint8_t)(i * 7));
	assert_false(target_read_all(t, at + 15 * (uint64_t)page - 4, copy, 8));
	assert_true(target_read_word(t, at, &word));
	assert_int_equal(word & 0xffffff, 0x0e0700);
	assert_true(target_read_text(t, at + 5 * (uint64_t)page, text, sizeof(text)));
	assert_string_equal(text, "five");
	assert_true(target_read_text(t, at + 6 * (uint64_t)page - 8, text, 5));
	assert_string_equal(text, "xxxx");
	assert_int_equal(target_read(t, UINT64_MAX - 4, copy, 8), 0);
	free(copy);
	target_close(t);
}

static void knows_what_is_resident(void **state)
{
	uint64_t at = (uint64_t)(uintptr_t)memory;
	struct target *t = open_live();
	struct target_residency r;

	(void)state;
	assert_int_equal(target_residency(t, at, at + 15 * (uint64_t)page, &r), 0);
	assert_int_equal(r.resident_bytes + r.swapped_bytes, 3 * page);
	assert_int_equal(target_residency(t, at + 2 * (uint64_t)page, at + 5 * (uint64_t)page, &r),
			 0);
	assert_int_equal(r.resident_bytes + r.swapped_bytes, 0);
	assert_int_equal(target_residency(t, at, at, &r), 0);
	assert_int_equal(r.resident_bytes, 0);
	target_close(t);
}

static void knows_what_is_used(void **state)
{
	uint64_t at = (uint64_t)(uintptr_t)memory, bytes = (uint64_t)page, start, end;
	struct target *t = open_live();

	(void)state;
	assert_int_equal(target_next_used(t, at, at + 15 * bytes, &start, &end), 0);
	assert_int_equal(start, at);
	assert_int_equal(end, at + 2 * bytes);
	assert_int_equal(target_next_used(t, at + 100, at + bytes, &start, &end), 0);
	assert_int_equal(start, at + 100);
	assert_int_equal(end, at + bytes);
	assert_int_equal(target_next_used(t, at + 2 * bytes, at + 15 * bytes, &start, &end), 0);
	assert_int_equal(start, at + 5 * bytes);
	assert_int_equal(end, at + 6 * bytes);
	assert_int_equal(target_next_used(t, at + 6 * bytes, at + 15 * bytes, &start, &end),
			 -ENOENT);
	assert_int_equal(target_next_used(t, at, at, &start, &end), -ENOENT);
	target_close(t);
}

/* Code that nobody has changed is the file's, and nothing of the process's. */
static void code_is_not_used_memory(void **state)
{
	static const enum target_wish wishes[] = {TARGET_WISH_LIVE, TARGET_WISH_STOP,
						  TARGET_WISH_AUTO};
	uint64_t at = (uint64_t)(uintptr_t)&stop & ~((uint64_t)page - 1), start, end;

	(void)state;
	for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
		const struct target_options o = {.wish = wishes[i]};
		struct target *t;

		assert_int_equal(target_open_pid(child, &o, &t, NULL), 0);
		assert_int_equal(target_next_used(t, at, at + (uint64_t)page, &start, &end),
				 -ENOENT);
		target_close(t);
	}
}

static void knows_modules_and_threads(void **state)
{
	struct target *t = open_live();
	const struct target_module *main_module = target_main_module(t), *libc, *modules;
	const struct target_thread *threads;
	size_t nr, libcs = 0;

	(void)state;
	assert_non_null(main_module);
	assert_string_equal(main_module->path, target_process(t)->exe);
	assert_true((uint64_t)(uintptr_t)&stop >= main_module->start);
	assert_true((uint64_t)(uintptr_t)&child < main_module->end);
	assert_true(main_module->build_id_len > 0);
	assert_ptr_equal(target_find_module(t, (uint64_t)(uintptr_t)&stop), main_module);
	assert_null(target_find_module(t, (uint64_t)(uintptr_t)memory));
	libc = target_find_module(t, (uint64_t)(uintptr_t)&pause);
	modules = target_modules(t, &nr);
	for (size_t i = 0; i < nr; i++) {
		assert_true(i == 0 || modules[i - 1].end <= modules[i].start);
		libcs += libc && strcmp(modules[i].path, libc->path) == 0;
	}
	assert_int_equal(libc ? libcs : 1, 1);
	assert_int_equal(target_word_bytes(t), sizeof(void *));
	assert_non_null(maps_find(target_maps(t), (uint64_t)(uintptr_t)memory));
	threads = target_threads(t, &nr);
	assert_int_equal(nr, 1);
	assert_int_equal(threads[0].tid, child);
	target_close(t);
}

static void maps_are_of_the_use_that_was_asked_for(void **state)
{
	static const enum target_wish wishes[] = {TARGET_WISH_LIVE, TARGET_WISH_STOP};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct smaps use = {.items = NULL};
		const struct target_options o = {.wish = wishes[i], .use = &use};
		struct error e = {0};
		struct target *t;
		const struct maps *maps;

		if (target_open_pid(child, &o, &t, &e) < 0)
			skip(); /* tracing is not permitted here */
		maps = target_maps(t);
		assert_true(use.nr > 0);
		assert_int_equal(maps->nr, use.nr);
		for (size_t k = 0; k < use.nr; k++)
			assert_int_equal(maps->items[k].start, use.items[k].map->start);
		smaps_release(&use);
		assert_string_equal(maps_find(maps, target_main_module(t)->start)->path,
				    target_main_module(t)->path);
		target_close(t);
	}
}

static void windows_move_with_the_reader(void **state)
{
	uint64_t at = (uint64_t)(uintptr_t)memory, word;
	struct target *t = open_live();
	const uint8_t *p;
	struct window w;
	size_t len;

	(void)state;
	window_init(&w, t, (size_t)page);
	for (long i = 0; i + 8 <= 2 * page; i += 24) {
		p = window_get(&w, at + (uint64_t)i, 8);
		assert_non_null(p);
		assert_int_equal(p[3], (uint8_t)((i + 3) * 7));
	}
	assert_true(window_word(&w, at + 8, &word));
	assert_int_equal(word & 0xff, 8 * 7);
	assert_null(window_get(&w, at, (size_t)page + 1));
	assert_null(window_get(&w, at + 15 * (uint64_t)page, 1));
	assert_null(window_get(&w, at + 15 * (uint64_t)page - 1, 2));
	p = window_some(&w, at + 15 * (uint64_t)page - 10, &len);
	assert_non_null(p);
	assert_int_equal(len, 10);
	assert_null(window_some(&w, at + 15 * (uint64_t)page, &len));
	assert_int_equal(len, 0);
	window_release(&w);
	target_close(t);
}

/* A target that notes how it is read: all bytes below 16 MiB are there. */
#define THERE (16u << 20)

static struct {
	unsigned int calls;
	uint64_t bytes;
} asked;

static size_t noted_read(struct target *t, uint64_t addr, void *buffer, size_t len)
{
	(void)t;
	asked.calls++;
	asked.bytes += len;
	if (addr >= THERE)
		return 0;
	if (len > THERE - addr)
		len = (size_t)(THERE - addr);
	memset(buffer, (int)(addr >> 12), len);
	return len;
}

static void noted_close(struct target *t)
{
	(void)t;
}

static void windows_fetch_what_is_asked_for(void **state)
{
	static const struct target_ops ops = {.read = noted_read, .close = noted_close};
	struct target *t = target_new();
	struct window w;
	uint64_t word;

	(void)state;
	t->ops = &ops;
	t->word_bytes = 8;
	window_init(&w, t, 0);
	/* Upwards: as with a window that is always full, but for the first few reads. */
	for (uint64_t at = 0; at < THERE; at += 16)
		assert_true(window_word(&w, at, &word));
	assert_true(asked.calls <= THERE / w.cap + 10);
	assert_true(asked.bytes <= THERE + w.cap);
	/* Downwards, and here and there: little beside what is asked for. */
	memset(&asked, 0, sizeof(asked));
	for (uint64_t at = THERE; at; at -= 1u << 16)
		assert_true(window_word(&w, at - 8, &word));
	for (uint64_t i = 0; i < 1000; i++)
		assert_true(window_word(&w, i * 7919 * 4096 % (THERE - 8), &word));
	assert_true(asked.bytes <= (256 + 1000) * 16384ull);
	/* A long piece is one read, wherever it is. */
	memset(&asked, 0, sizeof(asked));
	assert_non_null(window_get(&w, 5u << 20, 100000));
	assert_non_null(window_get(&w, 1u << 20, 100000));
	assert_int_equal(asked.calls, 2);
	window_release(&w);
	target_close(t);
}

static void says_why_not(void **state)
{
	struct error e = {0};
	struct target *t = NULL;

	(void)state;
	assert_true(target_open_pid(0x3ffffff, NULL, &t, &e) < 0);
	assert_int_equal(e.status, EXIT_TARGET);
	assert_string_equal(e.message, "no such process: 67108863");
	assert_null(t);
	target_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_is_there),
		cmocka_unit_test(knows_what_is_resident),
		cmocka_unit_test(knows_what_is_used),
		cmocka_unit_test(code_is_not_used_memory),
		cmocka_unit_test(knows_modules_and_threads),
		cmocka_unit_test(maps_are_of_the_use_that_was_asked_for),
		cmocka_unit_test(windows_move_with_the_reader),
		cmocka_unit_test(windows_fetch_what_is_asked_for),
		cmocka_unit_test(says_why_not),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
