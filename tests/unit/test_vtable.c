/* Classes by the tables that objects begin with: laid out by hand, sound and broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../tools/fake_target.h"
#include "heap/vtable.h"
#include "target/window.h"

#define PROGRAM 0x400000u
#define HEAP 0x900000u
#define PAGE_OF_HEAP 0x10000u

/* In the program: tables, type informations, names. */
#define TABLE (PROGRAM + 0x100)	    /* of the class under test */
#define SECOND (PROGRAM + 0x140)    /* its second base's */
#define INFO (PROGRAM + 0x200)	    /* its type_info */
#define NAME (PROGRAM + 0x300)	    /* its name */
#define ABI_TABLE (PROGRAM + 0x400) /* of the type_info's class */
#define ABI_INFO (PROGRAM + 0x500)
#define ABI_NAME (PROGRAM + 0x600)

struct scene {
	struct target *t;
	struct window window;
	struct vtables *v;
	unsigned int word;
};

static void put(struct scene *s, uint64_t addr, uint64_t word)
{
	memcpy(fake_target_at(s->t, addr), &word, s->word);
}

static void put_text(struct scene *s, uint64_t addr, const char *text)
{
	memcpy(fake_target_at(s->t, addr), text, strlen(text) + 1);
}

static void begin(struct scene *s, unsigned int word)
{
	s->word = word;
	s->t = fake_target_new(word, word == 8 ? EM_X86_64 : EM_386);
	fake_target_map(s->t, PROGRAM, 0x1000, MAP_READ, "/bin/program");
	fake_target_map(s->t, HEAP, PAGE_OF_HEAP, MAP_READ | MAP_WRITE, "[heap]");
	fake_target_module(s->t, "/bin/program", PROGRAM, PROGRAM + 0x1000, TARGET_MODULE_MAIN);
	fake_target_ready(s->t);
	window_init(&s->window, s->t, 0);
	put(s, TABLE - word, INFO);
	put(s, SECOND - 2 * word, (uint64_t)-16);
	put(s, SECOND - word, INFO);
	put(s, INFO, ABI_TABLE);
	put(s, INFO + word, NAME);
	put_text(s, NAME, "N4shop5OrderE");
	put(s, ABI_TABLE - word, ABI_INFO);
	put(s, ABI_INFO, ABI_TABLE);
	put(s, ABI_INFO + word, ABI_NAME);
	put_text(s, ABI_NAME, "N10__cxxabiv120__si_class_type_infoE");
	s->v = vtables_new(s->t);
}

static void end(struct scene *s)
{
	vtables_free(s->v);
	window_release(&s->window);
	target_close(s->t);
}

static const char *class_of(struct scene *s, uint64_t word)
{
	return vtables_name(s->v, vtables_class(s->v, word));
}

static void test_sound(void **state)
{
	(void)state;
	for (unsigned int word = 4; word <= 8; word += 4) {
		struct scene s;

		begin(&s, word);
		assert_string_equal(class_of(&s, TABLE), "N4shop5OrderE");
		assert_string_equal(class_of(&s, TABLE), "N4shop5OrderE");
		assert_int_equal(vtables_nr(s.v), 1);
		/* Not the beginning of an object, not a table, nowhere. */
		assert_string_equal(class_of(&s, SECOND), "");
		assert_string_equal(class_of(&s, TABLE + word), "");
		assert_string_equal(class_of(&s, TABLE + 1), "");
		assert_string_equal(class_of(&s, INFO), "");
		assert_string_equal(class_of(&s, NAME), "");
		assert_string_equal(class_of(&s, PROGRAM), "");
		assert_string_equal(class_of(&s, PROGRAM + 0x1000), "");
		assert_string_equal(class_of(&s, HEAP), "");
		assert_string_equal(class_of(&s, 0), "");
		assert_string_equal(class_of(&s, UINT64_MAX), "");
		/* A type_info is an object of the ABI's own class. */
		assert_string_equal(class_of(&s, ABI_TABLE),
				    "N10__cxxabiv120__si_class_type_infoE");
		end(&s);
	}
	vtables_free(NULL);
}

/* One word or text that is not as it must be, and there is no class. */
static void test_broken(void **state)
{
	static const struct {
		uint64_t at, word;
		const char *text;
	} cases[] = {
		{TABLE - 8, 0, NULL},	      /* -fno-rtti */
		{TABLE - 8, HEAP, NULL},      /* type_info in no module */
		{TABLE - 8, INFO + 4, NULL},  /* not aligned */
		{TABLE - 16, 8, NULL},	      /* not a whole object */
		{INFO, 0, NULL},	      /* a type_info of nothing */
		{INFO, TABLE, NULL},	      /* of a class that is none of the ABI's */
		{INFO + 8, HEAP, NULL},	      /* a name in no module */
		{INFO + 8, UINT64_MAX, NULL}, /* at the end of the world */
		{NAME, 0, ""},		      /* no name */
		{NAME, 0, "not mangled"},     /* a text, but no type's */
		{NAME, 0, "4f\x1b[31m"},      /* nothing for a terminal */
		{ABI_NAME, 0, "N10__cxxabiv119__pointer_type_infoE"},
		{ABI_INFO + 8, PROGRAM + 0xfff, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scene s;

		begin(&s, 8);
		if (cases[i].text)
			put_text(&s, cases[i].at, cases[i].text);
		else
			put(&s, cases[i].at, cases[i].word);
		if (*class_of(&s, TABLE))
			fail_msg("case %zu has a class", i);
		end(&s);
	}
}

/* A name that runs into the end of the module's memory. */
static void test_endless_name(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 8);
	memset(fake_target_at(s.t, PROGRAM + 0xf00), '9', 0x100);
	put(&s, INFO + 8, PROGRAM + 0xf00);
	assert_string_equal(class_of(&s, TABLE), "");
	end(&s);
}

static void test_local_linkage(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 8);
	put_text(&s, NAME, "*N12_GLOBAL__N_16HiddenE");
	assert_string_equal(class_of(&s, TABLE), "N12_GLOBAL__N_16HiddenE");
	end(&s);
}

static void test_blocks(void **state)
{
	struct scene s;
	uint8_t array;

	(void)state;
	begin(&s, 8);
	put(&s, HEAP, TABLE);
	assert_int_not_equal(vtables_class_of_block(s.v, &s.window, HEAP, 24, &array), 0);
	assert_int_equal(array, 0);
	assert_int_equal(vtables_class_of_block(s.v, &s.window, HEAP, 4, &array), 0);
	assert_int_equal(vtables_class_of_block(s.v, &s.window, 0x10, 64, &array), 0);
	/* Three objects of 40 bytes behind their number, in a block with some bytes to spare. */
	put(&s, HEAP + 0x100, 3);
	for (unsigned int i = 0; i < 3; i++)
		put(&s, HEAP + 0x108 + i * 40, TABLE);
	window_forget(&s.window);
	for (uint64_t size = 128; size <= 136; size += 8) {
		assert_int_not_equal(
			vtables_class_of_block(s.v, &s.window, HEAP + 0x100, size, &array), 0);
		assert_int_equal(array, 1);
	}
	/* A number and one object: a struct of the program's. */
	put(&s, HEAP + 0x200, 3);
	put(&s, HEAP + 0x208, TABLE);
	put(&s, HEAP + 0x300, UINT64_MAX);
	put(&s, HEAP + 0x308, TABLE);
	window_forget(&s.window);
	assert_int_equal(vtables_class_of_block(s.v, &s.window, HEAP + 0x200, 128, &array), 0);
	assert_int_equal(vtables_class_of_block(s.v, &s.window, HEAP + 0x300, 128, &array), 0);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),	     cmocka_unit_test(test_broken),
		cmocka_unit_test(test_endless_name), cmocka_unit_test(test_local_linkage),
		cmocka_unit_test(test_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
