/* inject/slots: a process may say that it has any number of words that lead to an entry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "inject/entries.h"
#include "inject/slots.h"
#include "target/target.h"

#include "inject_lab.h"

#define OTHERS 100 /* more than the true modules of the process have */

static struct inject_lab lab;

/*
 * Relocations of its own making, of TYPE: as many as there are words. Each has malloc's address,
 * and is named once, or the first as often. Or PACKED bytes of packed ones, of all these words and
 * what lies behind them.
 */
static const char source[] =
	"#include <elf.h>\n#include <link.h>\n#include <stdio.h>\n#include <stdlib.h>\n"
	"#include <unistd.h>\n"
	"enum { NR = 1 << 16 };\n"
	"extern Elf64_Dyn _DYNAMIC[];\n"
	"static void *words[NR] = {words};\n"
	"static Elf64_Rela made[NR] = {{1, 1, 1}};\n"
	"static Elf64_Addr packed[1 + (NR + 62) / 63] = {1};\n"
	"int main(void)\n{\n	char c;\n"
	"	for (int i = 0; i < NR; i++) {\n"
	"		words[i] = (void *)malloc;\n"
	"		made[i].r_offset = (Elf64_Addr)&words[ONCE ? i : 0];\n"
	"		made[i].r_info = TYPE;\n	}\n"
	"	packed[0] = (Elf64_Addr)words;\n"
	"	for (size_t i = 1; i < sizeof(packed) / sizeof(packed[0]); i++)\n"
	"		packed[i] = i == sizeof(packed) / sizeof(packed[0]) - 1\n"
	"			? (2ul << (NR - 1) % 63) - 1 : ~0ul;\n"
	"	printf(\"malloc %p\\n\", (void *)malloc);\n"
	"	for (Elf64_Dyn *d = _DYNAMIC; d->d_tag; d++) {\n"
	"		if (PACKED && d->d_tag == DT_RELA)\n"
	"			*d = (Elf64_Dyn){DT_RELR, {(Elf64_Addr)packed}};\n"
	"		if (PACKED && d->d_tag == DT_RELASZ)\n"
	"			*d = (Elf64_Dyn){DT_RELRSZ, {PACKED}};\n"
	"		if (d->d_tag == DT_RELA)\n"
	"			d->d_un.d_ptr = (Elf64_Addr)made;\n"
	"		if (d->d_tag == DT_RELASZ)\n"
	"			d->d_un.d_val = sizeof(made);\n	}\n"
	"	puts(\"ready\");\n	fflush(stdout);\n	return read(0, &c, 1) != 0;\n}\n";

static int setup(void **state)
{
	(void)state;
	inject_lab_open(&lab);
	inject_lab_write(&lab, "many.c", source);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	inject_lab_close(&lab);
	return 0;
}

/* Slots of malloc, of which *ret_of is said. */
static size_t find(const char *type, int once, const char *packed, struct slots_of *ret_of)
{
	const struct target_options live = {.wish = TARGET_WISH_LIVE};
	struct inject_run run;
	struct entries found;
	struct slots slots;
	struct target *t;
	struct error e;
	uint8_t *taken;
	size_t nr, at;

	assert_true(inject_lab_sh(&lab,
				  "gcc -no-pie -Wl,-z,norelro,-z,now -DTYPE=%s -DONCE=%d "
				  "-DPACKED='%s' many.c -o many",
				  type, once, packed));
	assert_true(inject_run_start(&lab, "./many", &run));
	assert_int_equal(target_open_pid(run.pid, &live, &t, &e), 0);
	assert_int_equal(entries_find(t, &found, &e), 0);
	for (at = 0; at < found.nr; at++)
		if (found.items[at].addr == inject_run_address(&run, "malloc"))
			break;
	assert_true(at < found.nr);
	taken = mem_alloc(found.nr);
	taken[at] = ENTRY_BY_SLOTS;
	slots_find(t, &found, taken, &slots);
	*ret_of = slots.of[at];
	nr = slots.nr;
	slots_release(&slots);
	free(taken);
	entries_release(&found);
	target_close(t);
	inject_run_stop(&run);
	return nr;
}

/* As many are found as can be told from too many. */
static void test_many_slots(void **state)
{
	struct slots_of of;

	(void)state;
	assert_int_equal(find("R_X86_64_JUMP_SLOT", 1, "0", &of), SLOTS_MAX + 1);
	assert_int_equal(of.nr, SLOTS_MAX + 1);
}

/* None of them is called through. */
static void test_many_doubtful(void **state)
{
	struct slots_of of;

	(void)state;
	assert_true(find("R_X86_64_GLOB_DAT", 1, "0", &of) < OTHERS);
	assert_in_range(of.pointers_nr, 1 << 16, (1 << 16) + OTHERS);
}

static void test_packed(void **state)
{
	struct slots_of of;

	(void)state;
	/* The first word names the first, and the other 65,535 are bits of the words behind it. */
	assert_true(find("0", 1, "sizeof(packed)", &of) < OTHERS);
	assert_in_range(of.pointers_nr, 1 << 16, (1 << 16) + OTHERS);
	/* Far more than there are: what can be read is looked at, or nothing is. */
	assert_true(find("0", 1, "1ul << 20", &of) < OTHERS);
	assert_in_range(of.pointers_nr, 1 << 16, (1 << 16) + OTHERS);
	assert_true(find("0", 1, "1ul << 60", &of) < OTHERS);
	assert_true(of.pointers_nr < OTHERS);
}

static void test_same_often(void **state)
{
	struct slots_of of;

	(void)state;
	assert_true(find("R_X86_64_JUMP_SLOT", 0, "0", &of) < OTHERS);
	assert_true(find("R_X86_64_GLOB_DAT", 0, "0", &of) < OTHERS);
	assert_in_range(of.pointers_nr, 1, OTHERS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_slots),
		cmocka_unit_test(test_many_doubtful),
		cmocka_unit_test(test_same_often),
		cmocka_unit_test(test_packed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
