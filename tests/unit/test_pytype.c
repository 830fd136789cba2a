/* Types of Python objects: laid out by hand, sound and broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../tools/fake_target.h"
#include "heap/pytype.h"
#include "target/window.h"

#define LIBRARY 0x7f0000000000u
#define HEAP 0x550000000000u

/* In the library: `type`, `list`, their names. On the heap: a class of the program's. */
#define TYPE LIBRARY
#define LIST (LIBRARY + 0x400)
#define NAMES (LIBRARY + 0x800)
#define CLASS (HEAP + 0x4000)

struct scene {
	struct target *t;
	struct window window;
	struct pytypes *p;
};

static void put(struct scene *s, uint64_t addr, uint64_t word)
{
	memcpy(fake_target_at(s->t, addr), &word, 8);
}

static void put_type(struct scene *s, uint64_t addr, uint64_t above, uint64_t name,
		     const char *text)
{
	put(s, addr, 5);
	put(s, addr + 8, above);
	put(s, addr + 24, name);
	memcpy(fake_target_at(s->t, name), text, strlen(text) + 1);
}

static void begin(struct scene *s)
{
	s->t = fake_target_new(8, EM_X86_64);
	fake_target_map(s->t, LIBRARY, 0x1000, MAP_READ, "/lib/libpython.so");
	fake_target_map(s->t, HEAP, 0x8000, MAP_READ | MAP_WRITE, "");
	fake_target_ready(s->t);
	window_init(&s->window, s->t, 0);
	put_type(s, TYPE, TYPE, NAMES, "type");
	put_type(s, LIST, TYPE, NAMES + 0x20, "list");
	put_type(s, CLASS, TYPE, CLASS + 0x400, "shop.Order");
	s->p = pytypes_new(s->t);
}

static void end(struct scene *s)
{
	pytypes_free(s->p);
	window_release(&s->window);
	target_close(s->t);
}

static const char *type_of(struct scene *s, uint64_t addr, uint64_t size)
{
	window_forget(&s->window);
	return pytypes_name(s->p, pytypes_of_block(s->p, &s->window, addr, size));
}

static void test_sound(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	for (unsigned int before = 0; before <= 32; before += 16) {
		uint64_t block = HEAP + 0x100 + before * 16;

		put(&s, block + before, 1);
		put(&s, block + before + 8, LIST);
		assert_string_equal(type_of(&s, block, before + 48), "list");
		/* The block ends before the type. */
		assert_string_equal(type_of(&s, block, before + 8), "");
	}
	assert_string_equal(type_of(&s, CLASS, 1024), "type");
	put(&s, HEAP + 0x1000, 0xffffffff); /* lives for ever */
	put(&s, HEAP + 0x1008, CLASS);
	assert_string_equal(type_of(&s, HEAP + 0x1000, 16), "shop.Order");
	end(&s);
	pytypes_free(NULL);
}

static void test_broken(void **state)
{
	static const struct {
		uint64_t at, word;
	} cases[] = {
		{HEAP, 0},	      /* no reference */
		{HEAP, CLASS},	      /* a pointer: a list of types */
		{HEAP + 8, 0},	      /* no type */
		{HEAP + 8, LIST + 4}, /* not aligned */
		{HEAP + 8, 0x1000},   /* nowhere */
		{HEAP + 8, UINT64_MAX - 7},
		{LIST + 8, CLASS + 0x1000}, /* a chain into nothing */
		{LIST + 8, LIST},	    /* its own type, but not called so */
		{TYPE + 8, LIST},	    /* a chain without end */
		{LIST + 24, 0},		    /* no name */
		{LIST + 24, HEAP + 0x7000}, /* an empty one */
		{NAMES, 0x7878787878},	    /* the last type is called otherwise */
		{NAMES + 0x20, 0x1b1b1b},   /* nothing for a terminal */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scene s;

		begin(&s);
		put(&s, HEAP, 1);
		put(&s, HEAP + 8, LIST);
		put(&s, cases[i].at, cases[i].word);
		if (*type_of(&s, HEAP, 64))
			fail_msg("case %zu has a type", i);
		end(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),
		cmocka_unit_test(test_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
