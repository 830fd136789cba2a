/*
 * The symbolizer against independent programs: binutils' addr2line on random addresses of a C++
 * program, objdump on PLT stubs; and how long many addresses take beside addr2line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "sym_lab.h"

enum {
	ADDRESSES = 3000,
	FRAMES_MAX = 64,
};

static int set_up(void **state)
{
	struct lab *l = mem_alloc(sizeof(*l));

	lab_open(l);
	*state = l;
	return 0;
}

static int tear_down(void **state)
{
	lab_close(*state);
	free(*state);
	return 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Addresses in .text, always the same for the same program. */
static uint64_t *pick_addresses(const struct lab *l)
{
	char *text = lab_output(l, "readelf -SW prog | sed -n 's/.* \\.text  *PROGBITS  *//p'");
	uint64_t start, size, *addrs = mem_alloc_array(ADDRESSES, sizeof(*addrs));
	uint32_t seed = 1;
	char *path = lab_path(l, "addresses");
	FILE *f = fopen(path, "w");
	size_t i;

	assert_non_null(text);
	assert_non_null(f);
	assert_int_equal(sscanf(text, "%lx %*x %lx", &start, &size), 2);
	for (i = 0; i < ADDRESSES; i++) {
		seed = seed * 1664525u + 1013904223u;
		addrs[i] = start + (seed >> 4) % size;
		fprintf(f, "%lx\n", addrs[i]);
	}
	fclose(f);
	free(path);
	free(text);
	return addrs;
}

/* One frame as addr2line prints it: two lines. */
struct truth {
	char *function, *file;
	uint32_t line;
};

/* Cuts "file:12 (discriminator 3)" into pieces. */
static uint32_t cut_line(char *text)
{
	char *colon = strrchr(text, ':');
	uint32_t line;

	if (!colon)
		return 0;
	line = (uint32_t)strtoul(colon + 1, NULL, 10);
	*colon = '\0';
	return line;
}

/* Reads the frames of one address; *at then stands at the next address. */
static size_t read_truth(char **at, struct truth frames[FRAMES_MAX])
{
	size_t nr = 0;

	strsep(at, "\n"); /* 0x… */
	while (*at && **at && strncmp(*at, "0x", 2) != 0 && nr < FRAMES_MAX) {
		frames[nr].function = strsep(at, "\n");
		frames[nr].file = strsep(at, "\n");
		assert_non_null(frames[nr].file);
		frames[nr].line = cut_line(frames[nr].file);
		nr++;
	}
	return nr;
}

struct score {
	size_t compared, names, names_same, inlined;
};

/*
 * Places must agree in every frame. Names are compared for the real function, without "[clone …]":
 * for inlined ones without a linkage name binutils falls back to the function around them.
 */
static void compare(const struct sym_frame *ours, size_t nr, const struct truth *theirs,
		    size_t nr_theirs, struct score *score)
{
	size_t i, len;

	if (nr == 0 || !*ours[nr - 1].function || !*ours[nr - 1].file)
		return; /* padding, start-up code */
	score->compared++;
	score->inlined += nr - 1;
	assert_int_equal(nr, nr_theirs);
	for (i = 0; i < nr; i++) {
		assert_string_equal(base_name(ours[i].file), base_name(theirs[i].file));
		assert_int_equal(ours[i].line, theirs[i].line);
	}
	score->names++;
	len = strcspn(ours[nr - 1].function, "[");
	while (len > 0 && ours[nr - 1].function[len - 1] == ' ')
		len--;
	score->names_same += !strncmp(ours[nr - 1].function, theirs[nr - 1].function, len);
}

static double seconds_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

static void against_addr2line(const struct lab *l, const char *build)
{
	struct sym_options o = {.no_debuginfod = true};
	struct timespec start;
	struct lab_module m;
	struct sym *s = sym_new(&o);
	double theirs, ours = 0;
	struct score score = {0};
	uint64_t *addrs;
	char *out, *at;
	size_t i;
	int h;

	assert_int_equal(lab_sh(l, "%s", build), 0);
	addrs = pick_addresses(l);
	clock_gettime(CLOCK_MONOTONIC, &start);
	out = lab_output(l, "addr2line -a -i -f -C -e prog < addresses");
	theirs = seconds_since(&start);
	assert_non_null(out);
	lab_module_init(&m, l, "prog", 0);
	h = sym_add_module(s, &m.is);
	for (i = 0, at = out; i < ADDRESSES; i++) {
		struct truth truth[FRAMES_MAX];
		const struct sym_frame *frames;
		size_t nr, nr_truth = read_truth(&at, truth);

		clock_gettime(CLOCK_MONOTONIC, &start);
		nr = sym_resolve(s, h, addrs[i], &frames);
		ours += seconds_since(&start);
		compare(frames, nr, truth, nr_truth, &score);
	}
	print_message("# %zu addresses compared, %zu inlined frames, %zu of %zu names the same; "
		      "addr2line %.0f ms, we %.0f ms\n",
		      score.compared, score.inlined, score.names_same, score.names, theirs * 1e3,
		      ours * 1e3);
	assert_true(score.compared > ADDRESSES / 2);
	assert_true(score.inlined > 100 || !strstr(build, "-O2"));
	assert_true(score.names_same * 100 >= score.names * 99);
	assert_true(ours < 10 * theirs); /* far from a scan for each address */
	free(out);
	free(addrs);
	lab_module_release(&m);
	sym_free(s);
}

static void test_addr2line_gxx(void **state)
{
	if (!lab_has("addr2line") || !lab_has("g++"))
		skip();
	against_addr2line(*state, "g++ -std=gnu++17 -O2 -g $VICTIMS/sym_shop.cpp -o prog");
}

static void test_addr2line_gxx_dwarf4(void **state)
{
	if (!lab_has("addr2line") || !lab_has("g++"))
		skip();
	against_addr2line(*state, "g++ -std=gnu++17 -O2 -gdwarf-4 $VICTIMS/sym_shop.cpp -o prog");
}

static void test_addr2line_plain(void **state)
{
	if (!lab_has("addr2line") || !lab_has("clang++"))
		skip();
	against_addr2line(*state,
			  "clang++ -std=gnu++17 -O0 -gdwarf-4 $VICTIMS/sym_shop.cpp -o prog");
}

static const char *next_stub(const char *text, uint64_t *ret_addr, char name[128])
{
	while (text && *text) {
		const char *end = strchr(text, '\n');

		if (sscanf(text, "%lx <%127[^>]>:", ret_addr, name) == 2 && strstr(name, "@plt") &&
		    !strstr(name, "-0x"))
			return end ? end + 1 : "";
		text = end ? end + 1 : NULL;
	}
	return NULL;
}

/* Every stub that objdump names has our name, too, from its first byte to its eighth. */
static void plt(const struct lab *l, const char *flags)
{
	struct sym_options o = {.no_debuginfod = true};
	const struct sym_frame *f;
	const char *at;
	struct lab_module m;
	struct sym *s = sym_new(&o);
	size_t nr = 0;
	char *out, name[128];
	uint64_t addr;
	int h;

	assert_int_equal(lab_sh(l, "gcc -O2 %s $VICTIMS/sym_inline.c -o prog && strip prog", flags),
			 0);
	out = lab_output(l, "for s in .plt .plt.sec .plt.got; do "
			    "objdump -d -j $s prog 2>/dev/null; done; true");
	lab_module_init(&m, l, "prog", 0);
	h = sym_add_module(s, &m.is);
	for (at = out; (at = next_stub(at, &addr, name)); nr++) {
		assert_int_equal(sym_resolve(s, h, addr, &f), 1);
		assert_string_equal(f->function, name);
		assert_int_equal(f->offset, 0);
		assert_int_equal(sym_resolve(s, h, addr + 7, &f), 1);
		assert_string_equal(f->function, name);
		assert_int_equal(f->offset, 7);
	}
	print_message("# %zu stubs (%s)\n", nr, flags);
	assert_true(nr >= 2);
	free(out);
	lab_module_release(&m);
	sym_free(s);
}

static void test_plt(void **state)
{
	if (!lab_has("objdump"))
		skip();
	plt(*state, "-Wl,-z,lazy -fcf-protection=none");
	plt(*state, "-Wl,-z,now -fcf-protection=none");
	plt(*state, "-Wl,-z,lazy -fcf-protection=full -Wl,-z,ibtplt");
	plt(*state, "-no-pie -fno-pie -Wl,-z,lazy");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_addr2line_gxx, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_addr2line_gxx_dwarf4, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_addr2line_plain, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_plt, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
