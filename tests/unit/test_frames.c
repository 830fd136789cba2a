/* inject/frames: records of unwind information that are as they should be, and not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "inject/frames.h"
#include "target/target.h"

#include "inject_lab.h"

static struct inject_lab lab;

/* A record of `marked`, whose CIE has a number with FILL bytes more than it needs. */
static const char source[] =
	"#include <stdio.h>\n#include <unistd.h>\n"
	"#define TEXT_(x) #x\n#define TEXT(x) TEXT_(x)\n"
	"__asm__(\".section .eh_frame,\\\"a\\\",@progbits\\n\"\n"
	"	\"1: .long 3f - 2f\\n2: .long 0\\n.byte 1\\n.asciz \\\"zR\\\"\\n\"\n"
	"	\".fill \" TEXT(FILL) \", 1, 0x80\\n.byte 1\\n.sleb128 -8\\n.byte 16\\n\"\n"
	"	\".uleb128 1\\n.byte 0x1b\\n.balign 4\\n3:\\n\"\n"
	"	\"4: .long 6f - 5f\\n5: .long 5b - 1b\\n.long marked - .\\n.long 1\\n\"\n"
	"	\".uleb128 0\\n.balign 4\\n6:\\n.text\\n.globl marked\\nmarked: ret\\n\");\n"
	"extern const char marked[];\n"
	"int main(void)\n{\n	char c;\n"
	"	printf(\"marked %p\\nready\\n\", (void *)marked);\n"
	"	fflush(stdout);\n	return read(0, &c, 1) != 0;\n}\n";

static int setup(void **state)
{
	(void)state;
	inject_lab_open(&lab);
	inject_lab_write(&lab, "frames.c", source);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	inject_lab_close(&lab);
	return 0;
}

static int finds_marked(int fill)
{
	const struct target_options live = {.wish = TARGET_WISH_LIVE};
	struct inject_run run;
	struct frames frames;
	struct target *t;
	struct error e;
	int found = 0;

	assert_true(inject_lab_sh(&lab,
				  "gcc -O1 -static -Wl,--no-eh-frame-hdr -DFILL=%d frames.c -o "
				  "frames",
				  fill));
	assert_true(inject_run_start(&lab, "./frames", &run));
	assert_int_equal(target_open_pid(run.pid, &live, &t, &e), 0);
	frames_read(t, &frames);
	assert_true(frames.nr > 100);
	for (size_t i = 0; i < frames.nr; i++)
		found += frames.entries[i].code == inject_run_address(&run, "marked");
	frames_release(&frames);
	target_close(t);
	inject_run_stop(&run);
	return found;
}

static void test_found(void **state)
{
	(void)state;
	assert_int_equal(finds_marked(0), 1);
	assert_int_equal(finds_marked(9), 1);
}

/* It might be as long as the section, and be read again for each record. */
static void test_endless_number(void **state)
{
	(void)state;
	assert_int_equal(finds_marked(10), 0);
	assert_int_equal(finds_marked(4000), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_endless_number),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
