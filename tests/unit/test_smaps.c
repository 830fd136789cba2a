/* target/smaps: the kernel's text, hostile text, and this very process against its own rollup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "target/smaps.h"

#define KIB 1024u

static struct smaps parse(const char *text)
{
	struct smaps s;

	smaps_parse(text, strlen(text), &s);
	return s;
}

static void reads_every_field(void **state)
{
	struct smaps s = parse("55d0c0a00000-55d0c0a28000 r-xp 00002000 fd:1e 1835 /usr/bin/cat\n"
			       "Size:                160 kB\n"
			       "KernelPageSize:        4 kB\n"
			       "MMUPageSize:           4 kB\n"
			       "Rss:                 150 kB\n"
			       "Pss:                  75 kB\n"
			       "Pss_Dirty:             1 kB\n"
			       "Shared_Clean:         10 kB\n"
			       "Shared_Dirty:         20 kB\n"
			       "Private_Clean:        30 kB\n"
			       "Private_Dirty:        90 kB\n"
			       "Referenced:          150 kB\n"
			       "Anonymous:            40 kB\n"
			       "KSM:                   0 kB\n"
			       "LazyFree:              5 kB\n"
			       "AnonHugePages:      2048 kB\n"
			       "ShmemPmdMapped:     4096 kB\n"
			       "FilePmdMapped:      8192 kB\n"
			       "Shared_Hugetlb:      100 kB\n"
			       "Private_Hugetlb:     200 kB\n"
			       "Swap:                  7 kB\n"
			       "SwapPss:               3 kB\n"
			       "Locked:               75 kB\n"
			       "THPeligible:           1\n"
			       "ProtectionKey:         0\n"
			       "VmFlags: rd ex mr mw me lo dd sd \n");
	const struct smaps_region *r = s.items;

	(void)state;
	assert_int_equal(s.nr, 1);
	assert_int_equal(s.bad_lines, 0);
	assert_int_equal(r->map->start, 0x55d0c0a00000);
	assert_int_equal(r->map->prot, MAP_READ | MAP_EXEC);
	assert_string_equal(r->map->path, "/usr/bin/cat");
	assert_int_equal(r->rss, 150 * KIB);
	assert_int_equal(r->pss, 75 * KIB);
	assert_int_equal(r->shared_clean, 10 * KIB);
	assert_int_equal(r->shared_dirty, 20 * KIB);
	assert_int_equal(r->private_clean, 30 * KIB);
	assert_int_equal(r->private_dirty, 90 * KIB);
	assert_int_equal(r->anonymous, 40 * KIB);
	assert_int_equal(r->lazy_free, 5 * KIB);
	assert_int_equal(r->huge, (2048 + 4096 + 8192 + 100 + 200) * KIB);
	assert_int_equal(r->swap, 7 * KIB);
	assert_int_equal(r->locked, 75 * KIB);
	assert_int_equal(r->vm_flags, SMAPS_VM_LOCKED | SMAPS_VM_NO_DUMP);
	smaps_release(&s);
}

static void flags_are_words(void **state)
{
	struct smaps s = parse("1000-2000 rw-p 0 0:0 0\n"
			       "VmFlags: hg nh dc wf io nr gd ht sl um\n"
			       "2000-3000 rw-p 0 0:0 0\n"
			       "VmFlags: pf uw\n"
			       "3000-4000 rw-p 0 0:0 0\n"
			       "VmFlags:lox xlo l o ui \n"
			       "4000-5000 rw-p 0 0:0 0\n"
			       "VmFlags:\n");

	(void)state;
	assert_int_equal(s.nr, 4);
	assert_int_equal(s.items[0].vm_flags,
			 SMAPS_VM_HUGE | SMAPS_VM_NO_HUGE | SMAPS_VM_NO_FORK | SMAPS_VM_WIPE_FORK |
				 SMAPS_VM_IO | SMAPS_VM_NO_RESERVE | SMAPS_VM_GROWS_DOWN |
				 SMAPS_VM_HUGETLB | SMAPS_VM_SEALED | SMAPS_VM_USERFAULT);
	assert_int_equal(s.items[1].vm_flags, SMAPS_VM_IO | SMAPS_VM_USERFAULT);
	assert_int_equal(s.items[2].vm_flags, SMAPS_VM_USERFAULT);
	assert_int_equal(s.items[3].vm_flags, 0);
	smaps_release(&s);
}

static void an_older_kernel_has_fewer_keys(void **state)
{
	struct smaps s = parse("1000-2000 rw-p 0 0:0 0 /a\nRss: 4 kB\nSwap: 8 kB\n"
			       "2000-3000 rw-p 0 0:0 0 /b\nSwap: 4 kB\nRss: 12 kB\nPss: 1 kB\n");

	(void)state;
	assert_int_equal(s.nr, 2);
	assert_int_equal(s.bad_lines, 0);
	assert_int_equal(s.items[0].rss, 4 * KIB);
	assert_int_equal(s.items[0].swap, 8 * KIB);
	assert_int_equal(s.items[0].pss, 0);
	/* Another order is no damage either. */
	assert_int_equal(s.items[1].rss, 12 * KIB);
	assert_int_equal(s.items[1].swap, 4 * KIB);
	assert_int_equal(s.items[1].pss, 1 * KIB);
	assert_string_equal(s.items[0].map->path, "/a");
	assert_string_equal(s.items[1].map->path, "/b");
	smaps_release(&s);
}

static void what_is_no_figure_is_counted(void **state)
{
	static const char *const bad[] = {
		"Rss: 4\n",
		"Rss: kB\n",
		"Rss:\n",
		"Rss: -4 kB\n",
		"Rss: 4 kB \n",
		"Rss: 0x4 kB\n",
		"Rss: 4 4 kB\n",
		"Rss: 99999999999999999999 kB\n",
		"Rss: 18014398509481984 kB\n",
		"Rss\n",
		"Somebody else\n",
		" Rss: 4 kB\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[128];
		struct smaps s;

		snprintf(text, sizeof(text), "1000-2000 rw-p 0 0:0 0\n%s", bad[i]);
		s = parse(text);
		assert_int_equal(s.nr, 1);
		assert_int_equal(s.bad_lines, 1);
		assert_int_equal(s.items[0].rss, 0);
		smaps_release(&s);
	}
}

/* As wide as the kernel's own lines: what is read of them must not depend on the width. */
static void odd_lines_of_the_usual_width(void **state)
{
	static const struct {
		const char *line;
		uint64_t rss;
		size_t bad_lines;
	} cases[] = {
		{"Rss:            12345678 kB\n", 12345678ull * KIB, 0},
		{"Rss:           123456789 kB\n", 123456789ull * KIB, 0},
		{"Rss:              00004 kB\n", 4 * KIB, 0},
		{"Rss:                    kB\n", 0, 1},
		{"Rss:               4 4  kB\n", 0, 1},
		{"Rss:                 4  kB\n", 0, 1},
		{"Rss:                 -4 kB\n", 0, 1},
		{"Rss:                 0x4 kB\n", 0, 1},
		{"Rss:                  4 KB\n", 0, 1},
		{"Rss\t:                 4 kB\n", 0, 0}, /* a key of another kernel */
		{"Rss:          \t       4 kB\n", 0, 1},
		/* Two lines in the place of one: a key without a figure, and no mapping. */
		{"Rss:            \n     4 kB\n", 0, 2},
		{"Size:           \n     4 kB\n", 0, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[256];
		struct smaps s;

		snprintf(text, sizeof(text),
			 "1000-2000 rw-p 0 0:0 0\n%s%sPss:                   8 kB\n",
			 cases[i].line[0] == 'S' ? ""
						 : "Size:                  4 kB\n"
						   "KernelPageSize:        4 kB\n"
						   "MMUPageSize:           4 kB\n",
			 cases[i].line);
		s = parse(text);
		assert_int_equal(s.nr, 1);
		assert_int_equal(s.items[0].rss, cases[i].rss);
		assert_int_equal(s.items[0].pss, strstr(cases[i].line, "\n ") ? 0 : 8 * KIB);
		assert_int_equal(s.bad_lines, cases[i].bad_lines);
		smaps_release(&s);
	}
}

/* Figures that are the same as before are not read again: whatever comes first or between. */
static void equal_figures_are_each_mappings_own(void **state)
{
	static const char figures[] = "Size:                  4 kB\n"
				      "KernelPageSize:        4 kB\n"
				      "MMUPageSize:           4 kB\n"
				      "Rss:                   4 kB\n"
				      "Pss:                   2 kB\n";
	static const char *const between[] = {"", "VmFlags: rd lo\n", "Foo: 1 kB\n", "Rss: 8 kB\n"};
	static const char *const behind[] = {"", "VmFlags: rd hg\n", "Swap: 12 kB\n", "Rss\n"};
	struct str text = STR_INIT;
	size_t bad_lines = 0;
	struct smaps s;

	(void)state;
	for (unsigned int i = 0; i < 256; i++) {
		str_printf(&text, "%x000-%x000 rw-p 0 0:0 0\n%s%s%s", i + 1, i + 2, between[i % 4],
			   figures, behind[i / 4 % 4]);
		if (i / 16 % 2)
			str_printf(&text, "%.*sPss:                   1 kB\n%s",
				   (int)strlen(figures) / 5 * 3, figures, behind[i / 4 % 4]);
		bad_lines += (i / 4 % 4 == 3) * (1 + i / 16 % 2);
	}
	smaps_parse(text.data, text.len, &s);
	assert_int_equal(s.nr, 256);
	assert_int_equal(s.bad_lines, bad_lines);
	for (unsigned int i = 0; i < 256; i++) {
		const struct smaps_region *r = &s.items[i];
		unsigned int again = i / 16 % 2;

		assert_int_equal(r->map->start, (i + 1) * 0x1000);
		assert_int_equal(r->rss, (4 + (i % 4 == 3 ? 8 : 0)) * KIB);
		assert_int_equal(r->pss, (2 + again) * KIB);
		assert_int_equal(r->swap, i / 4 % 4 == 2 ? (1 + again) * 12 * KIB : 0);
		assert_int_equal(r->vm_flags, (i % 4 == 1 ? SMAPS_VM_LOCKED : 0) |
						      (i / 4 % 4 == 1 ? SMAPS_VM_HUGE : 0));
	}
	smaps_release(&s);
	str_release(&text);
}

static void a_mapping_that_goes_backwards_is_left_out_whole(void **state)
{
	struct smaps s = parse("Rss: 1 kB\n"
			       "5000-6000 rw-p 0 0:0 0 /a\nRss: 4 kB\n"
			       "5000-7000 rw-p 0 0:0 0 /b\nRss: 8 kB\nPss: 8 kB\n"
			       "zzzz\nRss: 16 kB\n"
			       "7000-8000 rw-p 0 0:0 0 /c\nRss: 32 kB\n"
			       "8000-7000 rw-p 0 0:0 0 /d\nRss: 64 kB\n");

	(void)state;
	assert_int_equal(s.nr, 2);
	assert_int_equal(s.bad_lines, 3);
	assert_int_equal(s.items[0].rss, 4 * KIB);
	assert_int_equal(s.items[0].pss, 0);
	assert_int_equal(s.items[1].rss, 32 * KIB);
	assert_string_equal(s.items[1].map->path, "/c");
	smaps_release(&s);
}

static void a_sum_that_overflows_is_counted(void **state)
{
	struct smaps s = parse("1000-2000 rw-p 0 0:0 0\n"
			       "AnonHugePages: 10000000000000000 kB\n"
			       "FilePmdMapped: 10000000000000000 kB\n");

	(void)state;
	assert_int_equal(s.nr, 1);
	assert_int_equal(s.bad_lines, 1);
	smaps_release(&s);
}

static void many_rows_keep_their_paths(void **state)
{
	struct str text = STR_INIT;
	struct smaps s;

	(void)state;
	for (unsigned int i = 1; i <= 5000; i++)
		str_printf(&text, "%x000-%x000 rw-p 0 0:0 0 %s%.0u\nRss: %u kB\n", i, i + 1,
			   i % 3   ? "/same"
			   : i % 2 ? ""
				   : "/number",
			   i % 3 ? 0 : i, i);
	smaps_parse(text.data, text.len, &s);
	assert_int_equal(s.nr, 5000);
	for (unsigned int i = 1; i <= 5000; i++) {
		char path[32];

		snprintf(path, sizeof(path), "%s%.0u",
			 i % 3	 ? "/same"
			 : i % 2 ? ""
				 : "/number",
			 i % 3 ? 0 : i);
		assert_string_equal(s.items[i - 1].map->path, path);
		assert_int_equal(s.items[i - 1].rss, i * (uint64_t)KIB);
	}
	smaps_release(&s);
	str_release(&text);
}

static void nothing_is_no_rows(void **state)
{
	struct smaps s = parse("");

	(void)state;
	assert_int_equal(s.nr, 0);
	assert_int_equal(s.bad_lines, 0);
	smaps_release(&s);
	smaps_release(&s);
	smaps_release(NULL);
}

static int open_self(void)
{
	int dir = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(dir >= 0);
	return dir;
}

static void this_process_is_found(void **state)
{
	const size_t size = 64 * KIB;
	char *p = mmap(NULL, 3 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct smaps_region *found = NULL;
	int dir = open_self();
	struct smaps s;

	(void)state;
	assert_true(p != MAP_FAILED);
	assert_int_equal(mprotect(p + size, size, PROT_READ | PROT_WRITE), 0);
	memset(p + size, 1, size / 2);
	assert_int_equal(madvise(p + size, size, MADV_DONTDUMP), 0);
	assert_int_equal(smaps_read_at(dir, &s), 0);
	assert_int_equal(s.bad_lines, 0);
	for (size_t i = 0; i < s.nr; i++) {
		const struct smaps_region *r = &s.items[i];

		assert_int_equal(r->rss, r->shared_clean + r->shared_dirty + r->private_clean +
						 r->private_dirty);
		if (r->map->start == (uintptr_t)(p + size))
			found = r;
	}
	assert_non_null(found);
	assert_int_equal(found->map->end - found->map->start, size);
	assert_int_equal(found->rss, size / 2);
	assert_int_equal(found->anonymous, size / 2);
	assert_true(found->vm_flags & SMAPS_VM_NO_DUMP);
	smaps_release(&s);
	munmap(p, 3 * size);
	close(dir);
}

/* A child that stands still, so that two readings agree to the byte. */
static void the_rows_add_up_to_the_rollup(void **state)
{
	struct smaps_region rollup;
	uint64_t rss = 0, dirty = 0, anonymous = 0;
	int stop[2], dir, r;
	char path[32], c;
	struct smaps s;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(stop), 0);
	child = fork();
	if (child == 0) {
		close(stop[1]);
		_exit(read(stop[0], &c, 1) == 0 ? 0 : 1);
	}
	close(stop[0]);
	snprintf(path, sizeof(path), "/proc/%d/stat", child);
	/* It has settled once it sleeps in read(). */
	for (bool asleep = false; !asleep;) {
		char text[512] = "";
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t len = read(fd, text, sizeof(text) - 1);

		close(fd);
		assert_true(len > 0);
		asleep = strstr(text, ") S ") != NULL;
	}
	snprintf(path, sizeof(path), "/proc/%d", child);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(smaps_read_at(dir, &s), 0);
	r = smaps_read_rollup_at(dir, &rollup);
	close(stop[1]);
	close(dir);
	for (size_t i = 0; i < s.nr; i++) {
		rss += s.items[i].rss;
		/* The parent's writes make what they shared the child's own. */
		dirty += s.items[i].private_dirty + s.items[i].shared_dirty;
		anonymous += s.items[i].anonymous;
	}
	smaps_release(&s);
	if (r == -ENOENT)
		skip(); /* Linux before 4.14 */
	assert_int_equal(r, 0);
	assert_true(rss > 0);
	assert_int_equal(rss, rollup.rss);
	assert_int_equal(dirty, rollup.private_dirty + rollup.shared_dirty);
	assert_int_equal(anonymous, rollup.anonymous);
}

static void maps_are_a_part_of_it(void **state)
{
	const long page = sysconf(_SC_PAGESIZE);
	char *memory =
		mmap(NULL, (size_t)(3 * page), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct smaps s = {.items = NULL}, none = {.items = NULL};
	struct maps taken, truth = MAPS_INIT;
	char path[32];
	pid_t child;
	int dir;

	(void)state;
	assert_int_equal(mprotect(memory + page, (size_t)page, PROT_NONE), 0);
	/* A child that stands still: what this test itself allocates must not matter. */
	child = fork();
	if (child == 0) {
		for (;;)
			pause();
	}
	snprintf(path, sizeof(path), "/proc/%d", child);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(smaps_read_at(dir, &s), 0);
	smaps_take_maps(&s, &taken);
	assert_int_equal(taken.nr, s.nr);
	for (size_t i = 0; i < s.nr; i++)
		assert_ptr_equal(s.items[i].map, &taken.items[i]);
	smaps_release(&s);
	assert_int_equal(maps_read_at(dir, &truth), 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_int_equal(taken.nr, truth.nr);
	for (size_t i = 0; i < truth.nr; i++) {
		const struct map *m = maps_find(&taken, truth.items[i].start);

		assert_non_null(m);
		assert_int_equal(m->start, truth.items[i].start);
		assert_int_equal(m->prot, truth.items[i].prot);
		assert_int_equal(m->inode, truth.items[i].inode);
		assert_string_equal(m->path, truth.items[i].path);
	}
	maps_release(&taken);
	maps_release(&truth);
	smaps_take_maps(&none, &taken);
	assert_int_equal(taken.nr, 0);
	maps_release(&taken);
	munmap(memory, (size_t)(3 * page));
	close(dir);
}

static void no_such_file_is_an_error(void **state)
{
	struct smaps s = {.nr = 77};
	int dir = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(smaps_read_at(dir, &s), -ENOENT);
	assert_int_equal(s.nr, 77);
	close(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_field),
		cmocka_unit_test(flags_are_words),
		cmocka_unit_test(an_older_kernel_has_fewer_keys),
		cmocka_unit_test(what_is_no_figure_is_counted),
		cmocka_unit_test(odd_lines_of_the_usual_width),
		cmocka_unit_test(equal_figures_are_each_mappings_own),
		cmocka_unit_test(a_mapping_that_goes_backwards_is_left_out_whole),
		cmocka_unit_test(a_sum_that_overflows_is_counted),
		cmocka_unit_test(many_rows_keep_their_paths),
		cmocka_unit_test(nothing_is_no_rows),
		cmocka_unit_test(this_process_is_found),
		cmocka_unit_test(the_rows_add_up_to_the_rollup),
		cmocka_unit_test(maps_are_a_part_of_it),
		cmocka_unit_test(no_such_file_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
