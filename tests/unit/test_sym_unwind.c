/*
 * sym/unwind on stacks that make no sense: it ends, and its frames ascend. That it names the right
 * functions of a sound stack is shown by e2e/stack_slots.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>

#include "sym/unwind.h"

#define FRAMES 64
#define STACK 0x7ffd00000000ull

static uint64_t seed;
static uint64_t asked; /* words read */
static uint64_t code;  /* somewhere in libc */

static uint64_t random_word(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Half of all words are return addresses, some are near the stack, some cannot be read. */
static bool read_random(void *arg, uint64_t addr, uint64_t *ret)
{
	uint64_t kind = random_word() % 16;

	(void)arg;
	(void)addr;
	asked++;
	if (kind == 0)
		return false;
	*ret = kind < 9	   ? code + random_word() % 1000000
	       : kind < 13 ? STACK + random_word() % 100000
			   : random_word();
	return true;
}

static struct unwinder *of_this_libc(void)
{
	struct unwinder *u = unwinder_new();
	struct link_map *map;
	Dl_info info;
	int fd;

	assert_true(dladdr1((void *)(uintptr_t)malloc, &info, (void **)&map, RTLD_DL_LINKMAP));
	fd = open(info.dli_fname, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	unwinder_add(u, fd, info.dli_fname, map->l_addr);
	code = (uint64_t)(uintptr_t)malloc;
	return u;
}

static void test_any_stack(void **state)
{
	struct unwinder *u = of_this_libc();
	size_t deep = 0;

	(void)state;
	for (uint64_t i = 1; i < 3000; i++) {
		struct unwind_frame frames[FRAMES];
		uint64_t registers[17];
		struct unwind_thread t = {.tid = 4242,
					  .registers = registers,
					  .nr_registers = 17,
					  .stack_register = 7,
					  .read = read_random};
		size_t nr;

		seed = i * 7919;
		for (size_t k = 0; k < 17; k++)
			registers[k] =
				random_word() % 2 ? STACK + random_word() % 4096 : random_word();
		registers[7] = STACK;
		registers[16] = code + random_word() % 100000;
		nr = unwinder_frames(u, &t, frames, FRAMES);
		assert_true(nr <= FRAMES);
		for (size_t k = 0; k < nr; k++) {
			assert_true(k == 0 || frames[k].sp == frames[k - 1].end);
			assert_true(!frames[k].end || frames[k].end > frames[k].sp);
		}
		deep += nr > 2;
	}
	assert_true(deep > 0);
	assert_true(asked > 0);
	unwinder_free(u);
}

static void test_nothing_known(void **state)
{
	struct unwind_frame frames[FRAMES];
	uint64_t registers[17] = {[7] = STACK, [16] = 0x1000};
	struct unwind_thread t = {.tid = 1,
				  .registers = registers,
				  .nr_registers = 17,
				  .stack_register = 7,
				  .read = read_random};
	struct unwinder *u = unwinder_new();

	(void)state;
	/* No module at all, and one that is no ELF file. */
	assert_int_equal(unwinder_frames(u, &t, frames, FRAMES), 0);
	unwinder_free(u);
	u = unwinder_new();
	unwinder_add(u, open("/dev/null", O_RDONLY | O_CLOEXEC), "/dev/null", 0);
	assert_int_equal(unwinder_frames(u, &t, frames, FRAMES), 0);
	unwinder_free(u);
	u = of_this_libc();
	seed = 1;
	/* Code in no module: the first call is known, and where it ends is not. */
	assert_int_equal(unwinder_frames(u, &t, frames, FRAMES), 1);
	assert_true(frames[0].pc == 0x1000 && frames[0].sp == STACK && frames[0].end == 0);
	t.nr_registers = 3;
	assert_int_equal(unwinder_frames(u, &t, frames, FRAMES), 0);
	unwinder_free(u);
	unwinder_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_stack),
		cmocka_unit_test(test_nothing_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
