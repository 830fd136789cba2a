/* cmd/symbolize: a snapshot's frames get their names, from files and from a process that still
 * lives. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cmd/symbolize.h"
#include "model/snapshot.h"
#include "sym_lab.h"
#include "target/process.h"

#define SOURCE "sym_inline.c"
#define BIAS 0x7f1200000000ull

enum {
	PROG, /* modules of the snapshot below */
	MISSING,
	UNUSED,
};

struct fixture {
	struct lab lab;
	struct lab_module module;
	struct snapshot s;
	struct symbolize_summary sum;
	uint64_t cell, plain; /* return addresses, of the file */
};

static void add_module(struct fixture *x, const char *path, uint64_t bias, bool with_build_id)
{
	struct module m = {
		.path = strings_add(&x->s.strings, path),
		.start = x->module.is.start - x->module.is.bias + bias,
		.end = x->module.is.end - x->module.is.bias + bias,
		.bias = bias,
	};

	if (with_build_id) {
		m.build_id_len = (uint8_t)x->module.is.build_id_len;
		memcpy(m.build_id, x->module.build_id, m.build_id_len);
	}
	ARRAY_PUSH(x->s.modules, x->s.nr_modules, x->s.cap_modules, m);
}

static uint32_t add_frame(struct fixture *x, uint64_t pc, uint32_t module)
{
	ARRAY_PUSH(x->s.frames, x->s.nr_frames, x->s.cap_frames,
		   ((struct frame){.pc = pc, .module = module}));
	return (uint32_t)x->s.nr_frames - 1;
}

static void build(struct fixture *x, const char *flags)
{
	assert_int_equal(lab_sh(&x->lab, "gcc -O2 -g %s $VICTIMS/" SOURCE " -o prog", flags), 0);
	lab_module_release(&x->module);
	lab_module_init(&x->module, &x->lab, "prog", 0);
	x->cell = lab_note(&x->lab, "prog", "cell");
	x->plain = lab_note(&x->lab, "prog", "table");
}

static int set_up(void **state)
{
	struct fixture *x = mem_alloc(sizeof(*x));

	lab_open(&x->lab);
	snapshot_init(&x->s);
	build(x, "-Wl,--build-id=sha1");
	*state = x;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *x = *state;

	symbolize_summary_release(&x->sum);
	snapshot_release(&x->s);
	lab_module_release(&x->module);
	lab_close(&x->lab);
	free(x);
	return 0;
}

static void run(struct fixture *x, const struct symbolize_options *o)
{
	symbolize_summary_release(&x->sum);
	assert_int_equal(symbolize_snapshot(&x->s, o, &x->sum), 0);
	assert_int_equal(snapshot_check(&x->s, NULL), 0);
	assert_true(x->s.symbols_resolved);
}

static const struct symbol *symbol_of(const struct fixture *x, uint32_t frame, uint32_t i)
{
	const struct frame *f = &x->s.frames[frame];

	assert_true(i < f->symbols_nr);
	return &x->s.symbols[f->symbols_first + i];
}

static void expect_symbol(const struct fixture *x, uint32_t frame, uint32_t i, const char *function,
			  const char *mark)
{
	const struct symbol *s = symbol_of(x, frame, i);
	char *path = lab_victim(SOURCE);

	assert_string_equal(strings_get(&x->s.strings, s->function), function);
	assert_string_equal(strings_get(&x->s.strings, s->file), path);
	assert_int_equal(s->line, lab_mark(SOURCE, mark));
	free(path);
}

static void expect_cell(const struct fixture *x, uint32_t frame)
{
	assert_int_equal(x->s.frames[frame].symbols_nr, 3);
	expect_symbol(x, frame, 0, "make_cell", "cell");
	expect_symbol(x, frame, 1, "make_row", "row");
	expect_symbol(x, frame, 2, "make_table", "table");
}

static void test_names(void **state)
{
	const struct symbolize_options o = {.no_debuginfod = true, .offline = true};
	struct fixture *x = *state;
	uint32_t cell, plain, missing, outside, zero;
	char *nm = lab_output(&x->lab, "nm prog | sed -n 's/ T make_table$//p'");

	add_module(x, x->module.path, BIAS, true);
	add_module(x, "/nonexistent/libgone.so", BIAS + 0x100000, true);
	add_module(x, "/nonexistent/libunused.so", BIAS + 0x200000, true);
	cell = add_frame(x, x->cell + BIAS, PROG);
	plain = add_frame(x, x->plain + BIAS, PROG);
	missing = add_frame(x, x->cell + BIAS + 0x100000, MISSING);
	outside = add_frame(x, 0x1000, NO_INDEX);
	zero = add_frame(x, 0, NO_INDEX);
	run(x, &o);
	expect_cell(x, cell);
	assert_int_equal(x->s.frames[plain].symbols_nr, 1);
	expect_symbol(x, plain, 0, "make_table", "plain");
	/* The offset is that of the return address, as the frame shows it. */
	assert_int_equal(symbol_of(x, plain, 0)->offset, x->plain - strtoull(nm, NULL, 16));
	assert_int_equal(x->s.frames[missing].symbols_nr, 0);
	assert_int_equal(x->s.frames[outside].symbols_nr, 0);
	assert_int_equal(x->s.frames[zero].symbols_nr, 0);

	assert_int_equal(x->sum.frames, 5);
	assert_int_equal(x->sum.named, 2);
	assert_int_equal(x->sum.outside, 2);
	assert_int_equal(x->sum.modules_with_lines, 1);
	assert_int_equal(x->sum.modules_without, 1);
	assert_int_equal(x->sum.nr_modules, 3);
	assert_int_equal(x->sum.modules[PROG].source, SYM_DWARF);
	assert_int_equal(x->sum.modules[PROG].named, 2);
	assert_int_equal(x->sum.modules[MISSING].source, SYM_NONE);
	assert_non_null(strstr(x->sum.modules[MISSING].why, "No such file"));
	assert_int_equal(x->sum.modules[UNUSED].frames, 0);
	free(nm);
}

/* Names that came with the snapshot stay; they are looked up again only when that is asked for. */
static void test_kept_and_again(void **state)
{
	struct symbolize_options o = {.no_debuginfod = true, .offline = true};
	struct fixture *x = *state;
	uint32_t cell, missing, i;

	add_module(x, x->module.path, BIAS, true);
	add_module(x, "/nonexistent/libgone.so", BIAS + 0x100000, true);
	cell = add_frame(x, x->cell + BIAS, PROG);
	missing = add_frame(x, x->cell + BIAS + 0x100000, MISSING);
	for (i = 0; i < 2; i++) {
		struct symbol old = {.function = strings_add(&x->s.strings, i ? "old_b" : "old_a")};

		x->s.frames[i].symbols_first = (uint32_t)x->s.nr_symbols;
		x->s.frames[i].symbols_nr = 1;
		ARRAY_PUSH(x->s.symbols, x->s.nr_symbols, x->s.cap_symbols, old);
	}
	run(x, &o);
	assert_int_equal(x->sum.kept, 2);
	assert_int_equal(x->sum.frames, 0);
	assert_string_equal(strings_get(&x->s.strings, symbol_of(x, cell, 0)->function), "old_a");
	o.again = true;
	run(x, &o);
	assert_int_equal(x->sum.kept, 0);
	assert_int_equal(x->sum.named, 1);
	expect_cell(x, cell);
	assert_string_equal(strings_get(&x->s.strings, symbol_of(x, missing, 0)->function),
			    "old_b");
	assert_int_equal(x->s.nr_symbols, 4);
}

static void test_broken_indices(void **state)
{
	const struct symbolize_options o = {.no_debuginfod = true, .offline = true};
	struct fixture *x = *state;

	add_frame(x, 0x1000, 7);
	assert_int_equal(symbolize_snapshot(&x->s, &o, NULL), -22);
	x->s.frames[0].module = NO_INDEX;
	x->s.frames[0].symbols_first = UINT32_MAX;
	x->s.frames[0].symbols_nr = 2;
	assert_int_equal(symbolize_snapshot(&x->s, &o, NULL), -22);
	assert_false(x->s.symbols_resolved);
}

/* A victim that stays until its input is closed. */
struct staying {
	pid_t pid;
	int input;
	uint64_t bias;
};

static void stay(struct fixture *x, struct staying *v)
{
	int in[2], out[2];
	char text[256];
	FILE *f;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	v->pid = fork();
	if (v->pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execl(x->module.path, "prog", "stay", NULL);
		_exit(127);
	}
	assert_true(v->pid > 0);
	close(in[0]);
	close(out[1]);
	v->input = in[1];
	f = fdopen(out[0], "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	assert_int_equal(sscanf(text, "bias %lx", &v->bias), 1);
	while (fgets(text, sizeof(text), f) && strncmp(text, "main ", 5) != 0)
		;
	fclose(f);
}

static void leave(struct staying *v)
{
	int status;

	close(v->input);
	assert_int_equal(waitpid(v->pid, &status, 0), v->pid);
}

static void identify(struct fixture *x, const struct staying *v)
{
	struct process_info info;

	assert_int_equal(process_read(v->pid, &info, NULL), 0);
	x->s.identity.pid = v->pid;
	x->s.identity.start_ticks = info.start_ticks;
	memcpy(x->s.identity.boot_id, info.boot_id, sizeof(x->s.identity.boot_id));
	process_info_release(&info);
}

static bool may_open_map_files(const struct staying *v)
{
	char *command = mem_printf(
		"cd /proc/%d/map_files && set -- * && head -c 1 \"$1\" >/dev/null 2>&1", v->pid);
	bool may = system(command) == 0;

	free(command);
	if (!may)
		print_message("# skipped: only root may open map_files\n");
	return may;
}

/* The program is replaced while it runs: what is still mapped is read, not what has its name now.
 */
static void live_replaced(struct fixture *x, bool with_build_id)
{
	const struct symbolize_options live = {.no_debuginfod = true};
	struct symbolize_options offline = {.no_debuginfod = true, .offline = true, .again = true};
	struct staying v;
	uint32_t cell;

	stay(x, &v);
	identify(x, &v);
	if (!may_open_map_files(&v)) {
		leave(&v);
		skip();
	}
	assert_int_equal(lab_sh(&x->lab, "rm prog && gcc -O1 $VICTIMS/" SOURCE " -o prog"), 0);
	add_module(x, x->module.path, v.bias, with_build_id);
	cell = add_frame(x, x->cell + v.bias, PROG);
	run(x, &live);
	expect_cell(x, cell);
	/* Another process of the same pid is not asked: nothing is known then. */
	x->s.frames[cell].symbols_nr = 0;
	x->s.identity.start_ticks++;
	run(x, &live);
	assert_int_equal(x->s.frames[cell].symbols_nr, 0);
	x->s.identity.start_ticks--;
	run(x, &offline);
	assert_int_equal(x->s.frames[cell].symbols_nr, 0);
	leave(&v);
}

static void test_live_replaced(void **state)
{
	live_replaced(*state, true);
}

static void test_live_replaced_no_build_id(void **state)
{
	struct fixture *x = *state;

	build(x, "-Wl,--build-id=none");
	live_replaced(x, false);
}

/* Without build-id, the process itself tells that the file is the one it runs: no reservation. */
static void test_live_no_build_id(void **state)
{
	const struct symbolize_options live = {.no_debuginfod = true};
	struct fixture *x = *state;
	struct staying v;
	uint32_t cell;

	build(x, "-Wl,--build-id=none");
	stay(x, &v);
	identify(x, &v);
	add_module(x, x->module.path, v.bias, false);
	cell = add_frame(x, x->cell + v.bias, PROG);
	run(x, &live);
	expect_cell(x, cell);
	assert_string_equal(x->sum.modules[PROG].why, "");
	leave(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		CASE(test_names),
		CASE(test_kept_and_again),
		CASE(test_broken_indices),
		CASE(test_live_replaced),
		CASE(test_live_replaced_no_build_id),
		CASE(test_live_no_build_id),
#undef CASE
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
