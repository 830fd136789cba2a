/* Which files names are read from: separate debug files, and never the wrong file's. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "sym/vdso.h"
#include "sym_lab.h"

#define SOURCE "sym_inline.c"

static const struct lab_frame chain[] = {
	{"make_cell", "cell"},
	{"make_row", "row"},
	{"make_table", "table"},
	{NULL, NULL},
};

/* What a test looks up: a module, by a symbolizer with these options. */
struct look {
	struct lab *lab;
	struct sym_options options;
	struct lab_module module;
	uint64_t pc;
	struct sym *sym;
	int handle;
};

static int set_up(void **state)
{
	struct look *k = mem_alloc(sizeof(*k));

	k->lab = mem_alloc(sizeof(*k->lab));
	lab_open(k->lab);
	k->options.no_debuginfod = true;
	*state = k;
	return 0;
}

static void look_end(struct look *k)
{
	sym_free(k->sym);
	k->sym = NULL;
}

static int tear_down(void **state)
{
	struct look *k = *state;

	look_end(k);
	lab_module_release(&k->module);
	lab_close(k->lab);
	free(k->lab);
	free(k);
	return 0;
}

/* Builds "prog" and remembers what it is and where its note "cell" comes from. */
static void build(struct look *k, const char *flags)
{
	assert_int_equal(lab_sh(k->lab, "gcc -O2 -g %s $VICTIMS/" SOURCE " -o prog", flags), 0);
	lab_module_release(&k->module);
	lab_module_init(&k->module, k->lab, "prog", 0);
	k->pc = lab_note(k->lab, "prog", "cell");
}

static void look(struct look *k)
{
	look_end(k);
	k->sym = sym_new(&k->options);
	k->handle = sym_add_module(k->sym, &k->module.is);
}

static void expect_lines(struct look *k)
{
	const char *why;

	look(k);
	lab_expect(k->sym, k->handle, k->pc, SOURCE, chain);
	assert_int_equal(sym_module_source(k->sym, k->handle, &why), SYM_DWARF);
}

static void expect_nothing(struct look *k, const char *reason)
{
	const struct sym_frame *f;
	const char *why;

	look(k);
	assert_int_equal(sym_resolve(k->sym, k->handle, k->pc - 1, &f), 0);
	assert_int_equal(sym_module_source(k->sym, k->handle, &why), SYM_NONE);
	if (!strstr(why, reason))
		fail_msg("'%s' does not say '%s'", why, reason);
}

static void test_symbols_folder(void **state)
{
	static const char *const places[] = {
		".build-id/$AB/$REST.debug",
		"$AB/$REST.debug",
		".build-id/$AB/$REST",
		"prog.debug",
		"prog",
	};
	struct look *k = *state;
	char *folder = lab_path(k->lab, "given"), *paths;
	size_t i;

	build(k, "-Wl,--build-id=sha1");
	assert_int_equal(lab_sh(k->lab, "objcopy --only-keep-debug prog all.debug && strip prog"),
			 0);
	expect_nothing(k, "stripped");
	paths = mem_printf("/nonexistent::%s", folder);
	k->options.paths = paths;
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		assert_int_equal(
			lab_sh(k->lab,
			       "ID=$(readelf -n prog | sed -n 's/.*Build ID: //p') && "
			       "AB=$(echo $ID | cut -c1-2) && REST=$(echo $ID | cut -c3-) && "
			       "rm -rf given && mkdir -p given/$(dirname %s) && "
			       "cp all.debug given/%s",
			       places[i], places[i]),
			0);
		expect_lines(k);
	}
	/* A plain file, too. */
	free(paths);
	paths = lab_path(k->lab, "all.debug");
	k->options.paths = paths;
	expect_lines(k);
	assert_string_equal(sym_module_file(k->sym, k->handle), paths);
	free(paths);
	free(folder);
}

/* The folder has a file of the right name, but from another build. */
static void test_symbols_folder_wrong(void **state)
{
	struct look *k = *state;
	char *folder = lab_path(k->lab, "given");

	build(k, "-O1");
	assert_int_equal(lab_sh(k->lab, "mkdir given && "
					"objcopy --only-keep-debug prog given/prog.debug"),
			 0);
	build(k, "");
	assert_int_equal(lab_sh(k->lab, "strip prog"), 0);
	k->options.paths = folder;
	expect_nothing(k, "stripped");
	free(folder);
}

static void test_debuglink(void **state)
{
	struct look *k = *state;

	build(k, "-Wl,--build-id=none");
	assert_int_equal(k->module.is.build_id_len, 0);
	assert_int_equal(lab_sh(k->lab,
				"objcopy --only-keep-debug prog link.debug && strip prog && "
				"objcopy --add-gnu-debuglink=link.debug prog"),
			 0);
	expect_lines(k);
	assert_int_equal(lab_sh(k->lab, "mkdir .debug && mv link.debug .debug/"), 0);
	expect_lines(k);
	/* One byte more, and the checksum no longer fits. */
	assert_int_equal(lab_sh(k->lab, "printf x >> .debug/link.debug"), 0);
	expect_nothing(k, "stripped");
}

static void test_replaced(void **state)
{
	struct look *k = *state;

	build(k, "-Wl,--build-id=sha1");
	assert_int_equal(
		lab_sh(k->lab, "gcc -O1 -g -Wl,--build-id=sha1 $VICTIMS/" SOURCE " -o prog"), 0);
	expect_nothing(k, "build-id differs");
	assert_int_equal(lab_sh(k->lab, "strip -R .note.gnu.build-id prog"), 0);
	expect_nothing(k, "build-id differs");
	assert_int_equal(lab_sh(k->lab, "rm prog"), 0);
	expect_nothing(k, "No such file");
	assert_int_equal(lab_sh(k->lab, "mkdir prog"), 0);
	expect_nothing(k, "not an ELF file");
	assert_int_equal(lab_sh(k->lab, "rmdir prog && mkfifo prog"), 0);
	expect_nothing(k, "not an ELF file");
	assert_int_equal(lab_sh(k->lab, "rm prog && echo '#!/bin/sh' > prog"), 0);
	expect_nothing(k, "not an ELF file");
}

/* Gone from its place, but its debug file is known by build-id. */
static void test_only_debug_file(void **state)
{
	struct look *k = *state;
	char *folder = lab_path(k->lab, "given");

	build(k, "-Wl,--build-id=sha1");
	assert_int_equal(lab_sh(k->lab, "mkdir given && objcopy --only-keep-debug prog "
					"given/prog.debug && rm prog"),
			 0);
	k->options.paths = folder;
	expect_lines(k);
	free(folder);
}

static bool say_yes(void *process, uint64_t address, uint64_t device, uint64_t inode)
{
	uint64_t *seen = process;

	seen[0] = address;
	seen[1] = device;
	seen[2] = inode;
	return true;
}

static bool say_no(void *process, uint64_t address, uint64_t device, uint64_t inode)
{
	(void)process, (void)address, (void)device, (void)inode;
	return false;
}

static void test_no_build_id(void **state)
{
	struct look *k = *state;
	uint64_t seen[3] = {0};
	const char *why;
	struct stat st;

	build(k, "-Wl,--build-id=none");
	/* Nobody to ask: the segments fit, and that is said. */
	expect_lines(k);
	sym_module_source(k->sym, k->handle, &why);
	assert_non_null(strstr(why, "no build-id"));
	/* They do not fit. */
	k->module.is.end += 0x10000;
	expect_nothing(k, "segments");
	k->module.is.end -= 0x10000;
	k->module.is.replaced = true;
	expect_nothing(k, "replaced");
	k->module.is.replaced = false;
	/* The process says whether it is this file. */
	k->options.process = seen;
	k->options.is_mapped = say_no;
	expect_nothing(k, "not the one that is mapped");
	k->options.is_mapped = say_yes;
	expect_lines(k);
	sym_module_source(k->sym, k->handle, &why);
	assert_string_equal(why, "");
	assert_int_equal(stat(k->module.path, &st), 0);
	assert_int_equal(seen[0], k->module.is.start);
	assert_int_equal(seen[1], st.st_dev);
	assert_int_equal(seen[2], st.st_ino);
}

/* The process had a file without build-id; what is there now has one. */
static void test_no_build_id_now_with(void **state)
{
	struct look *k = *state;

	build(k, "-Wl,--build-id=sha1");
	k->module.is.build_id_len = 0;
	expect_nothing(k, "build-id differs");
}

static int open_kept(void *process, uint64_t address)
{
	(void)address;
	return open(process, O_RDONLY | O_CLOEXEC);
}

/* Deleted or replaced on disk, but still mapped. */
static void test_mapped_file(void **state)
{
	struct look *k = *state;
	char *kept = lab_path(k->lab, "kept");

	build(k, "-Wl,--build-id=sha1");
	assert_int_equal(lab_sh(k->lab, "mv prog kept && echo new > prog"), 0);
	k->options.open_mapped = open_kept;
	k->options.process = kept;
	expect_lines(k);
	/* What is mapped there now is not this module. */
	k->module.is.unloaded = true;
	expect_nothing(k, "not an ELF file");
	k->module.is.unloaded = false;
	k->module.build_id[0] ^= 1;
	expect_nothing(k, "not an ELF file");
	free(kept);
}

static void test_other_root(void **state)
{
	struct look *k = *state;
	char *root = lab_path(k->lab, "root");

	build(k, "-Wl,--build-id=sha1");
	/* An absolute link must stay inside: /real/prog is root/real/prog. */
	assert_int_equal(lab_sh(k->lab, "mkdir -p root/app root/real && mv prog root/real/ && "
					"ln -s /real/prog root/app/prog"),
			 0);
	k->module.is.path = "/app/prog";
	k->options.root = root;
	expect_lines(k);
	k->options.root = NULL;
	k->options.root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(k->options.root_fd > 0);
	expect_lines(k);
	close(k->options.root_fd);
	free(root);
}

/* Only exported names: a function's size ends its name; what nothing covers has none. */
static void test_exports_only(void **state)
{
	struct look *k = *state;
	const struct sym_frame *f;
	uint64_t table, size;
	const char *why;
	char *nm;

	build(k, "-rdynamic");
	assert_int_equal(lab_sh(k->lab, "strip prog"), 0);
	nm = lab_output(k->lab, "nm -DS prog | sed -n 's/ T make_table$//p'");
	assert_int_equal(sscanf(nm, "%lx %lx", &table, &size), 2);
	look(k);
	assert_int_equal(sym_resolve(k->sym, k->handle, table, &f), 1);
	assert_string_equal(f->function, "make_table");
	assert_string_equal(f->file, "");
	assert_int_equal(f->line, 0);
	assert_int_equal(sym_resolve(k->sym, k->handle, table + size - 1, &f), 1);
	assert_string_equal(f->function, "make_table");
	assert_int_equal(f->offset, size - 1);
	/* Padding, then whatever comes: never make_table. */
	if (sym_resolve(k->sym, k->handle, table + size, &f) > 0)
		assert_string_not_equal(f->function, "make_table");
	assert_int_equal(sym_module_source(k->sym, k->handle, &why), SYM_EXPORTS);
	free(nm);
}

/* Assembler without sizes: the nearest label of the section, and not the label of another section.
 */
static void test_unsized(void **state)
{
	struct look *k = *state;
	const struct sym_frame *f;
	uint64_t first, second;
	const char *why;
	char *nm;

	assert_int_equal(lab_sh(k->lab, "cat > a.S <<'END'\n"
					".text\n.globl _start, first, second\n"
					"_start: nop\nfirst: nop; nop; nop; nop\n"
					"second: nop; nop; nop; nop\n"
					".section .other, \"ax\"\n.zero 64\n"
					"END\n"
					"gcc -nostdlib -static -no-pie a.S -o prog"),
			 0);
	lab_module_init(&k->module, k->lab, "prog", 0);
	nm = lab_output(k->lab, "nm prog | awk '$3==\"first\"||$3==\"second\"{print $1}'");
	assert_int_equal(sscanf(nm, "%lx %lx", &first, &second), 2);
	free(nm);
	look(k);
	assert_int_equal(sym_resolve(k->sym, k->handle, first + 3, &f), 1);
	assert_string_equal(f->function, "first");
	assert_int_equal(f->offset, 3);
	assert_int_equal(sym_resolve(k->sym, k->handle, second + 1, &f), 1);
	assert_string_equal(f->function, "second");
	nm = lab_output(
		k->lab,
		"readelf -SW prog | sed -n 's/.* .other  *PROGBITS  *\\([0-9a-f]*\\).*/\\1/p'");
	assert_int_equal(sscanf(nm, "%lx", &first), 1);
	free(nm);
	assert_int_equal(sym_resolve(k->sym, k->handle, first + 8, &f), 0);
	assert_int_equal(sym_module_source(k->sym, k->handle, &why), SYM_SYMTAB);
}

static void test_minidebuginfo(void **state)
{
	static const struct lab_frame name_only[] = {{"make_table", NULL}, {NULL, NULL}};
	struct look *k = *state;
	const char *why;

	if (!lab_has("xz"))
		skip();
	build(k, "");
	assert_int_equal(lab_sh(k->lab,
				"objcopy --only-keep-debug prog all.debug && "
				"objcopy -S --remove-section .gdb_index --remove-section "
				".comment all.debug mini 2>/dev/null; "
				"cp all.debug mini && strip --strip-debug mini && xz mini && "
				"strip prog && "
				"objcopy --add-section .gnu_debugdata=mini.xz prog"),
			 0);
	look(k);
	lab_expect(k->sym, k->handle, k->pc, SOURCE, name_only);
	assert_int_equal(sym_module_source(k->sym, k->handle, &why), SYM_SYMTAB);
}

/* Two debug files that share a third, as Debian's do. */
static void test_alternate(void **state)
{
	struct look *k = *state;
	char *folder = lab_path(k->lab, "given");
	const struct sym_frame *f;

	if (!lab_has("dwz"))
		skip();
	build(k, "-Wl,--build-id=sha1 -gdwarf-4");
	assert_int_equal(lab_sh(k->lab,
				"mkdir given && cp prog second && "
				"dwz -m shared -M /nowhere/shared.debug prog second 2>&1 && "
				"readelf -SW prog | grep -q gnu_debugaltlink && "
				"mv shared given/shared.debug && "
				"objcopy --only-keep-debug prog given/prog.debug && strip prog"),
			 0);
	k->options.paths = folder;
	expect_lines(k);
	/* The names really came from there. */
	assert_int_equal(lab_sh(k->lab, "rm given/shared.debug"), 0);
	look(k);
	if (sym_resolve(k->sym, k->handle, k->pc - 1, &f) > 0)
		assert_string_not_equal(f[0].function, "make_cell");
	free(folder);
}

static void copy_vdso(const struct look *k)
{
	char *path = lab_path(k->lab, "copy"), piece[4096];
	int from = vdso_open(), to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	off_t at = 0;
	ssize_t got;

	assert_true(from >= 0 && to >= 0);
	while ((got = pread(from, piece, sizeof(piece), at)) > 0) {
		assert_int_equal(write(to, piece, (size_t)got), got);
		at += got;
	}
	close(from);
	close(to);
	free(path);
}

static void test_vdso(void **state)
{
	struct look *k = *state;
	const struct sym_frame *f;
	uint64_t addr;
	char *nm;

	if (!getauxval(AT_SYSINFO_EHDR)) {
		print_message("# skipped: this kernel gives no vdso\n");
		skip();
	}
	copy_vdso(k);
	lab_module_init(&k->module, k->lab, "copy", 0x7000);
	nm = lab_output(k->lab, "nm -D copy | sed -n 's/ [TW] \\(__[a-z]*_getcpu\\).*/ \\1/p'");
	assert_non_null(nm);
	assert_int_equal(sscanf(nm, "%lx", &addr), 1);
	free(nm);
	k->module.is.path = "[vdso]";
	k->pc = addr + 0x7000 + 1;
	look(k);
	assert_int_equal(sym_resolve(k->sym, k->handle, k->pc - 1, &f), 1);
	assert_non_null(strstr(f->function, "getcpu"));
	/* Another kernel's. */
	k->module.build_id[3] ^= 0x10;
	expect_nothing(k, "vdso");
	k->module.is.path = "[heap]";
	expect_nothing(k, "not from a file");
	k->module.is.path = "";
	expect_nothing(k, "not from a file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		CASE(test_symbols_folder),
		CASE(test_symbols_folder_wrong),
		CASE(test_debuglink),
		CASE(test_replaced),
		CASE(test_only_debug_file),
		CASE(test_no_build_id),
		CASE(test_no_build_id_now_with),
		CASE(test_mapped_file),
		CASE(test_other_root),
		CASE(test_exports_only),
		CASE(test_unsized),
		CASE(test_minidebuginfo),
		CASE(test_alternate),
		CASE(test_vdso),
#undef CASE
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
