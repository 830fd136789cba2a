/*
 * What the tests of the .seep file share: a folder for the group, files as bytes, and the judgement
 * of what came back from a damaged one. Included by one test program each.
 */
#ifndef SEEPFILE_TEST_H
#define SEEPFILE_TEST_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/io.h"
#include "base/str.h"
#include "file/seepfile.h"
#include "sample_snapshot.h"

static char folder[] = "/tmp/seepfile-XXXXXX";

static inline char *in_folder(const char *name)
{
	return mem_printf("%s/%s", folder, name);
}

static inline int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static inline size_t count_files(void)
{
	DIR *d = opendir(folder);
	size_t nr = 0;

	while (readdir(d))
		nr++;
	closedir(d);
	return nr - 2;
}

static inline int remove_folder(void **state)
{
	DIR *d = opendir(folder);
	struct dirent *entry;

	(void)state;
	while ((entry = readdir(d)))
		unlinkat(dirfd(d), entry->d_name, 0);
	closedir(d);
	return rmdir(folder);
}

/* The file of a snapshot, as bytes. */
static inline void file_bytes(const struct snapshot *s, struct str *out)
{
	char *path = in_folder("bytes.seep");
	struct error e;

	assert_int_equal(seepfile_write(s, path, &e), 0);
	str_clear(out);
	assert_int_equal(io_read_file(path, SIZE_MAX, out), 0);
	assert_int_equal(unlink(path), 0);
	free(path);
}

/* Every row that is there is either the original one or says "unknown". */
static inline void assert_part_of(const struct snapshot *part, const struct snapshot *whole)
{
	size_t at = 0;

	assert_int_equal(snapshot_check(part, NULL), 0);
	assert_true(part->strings.nr <= whole->strings.nr);
	for (uint32_t i = 0; i < part->strings.nr; i++)
		if (*strings_get(&part->strings, i))
			assert_string_equal(strings_get(&part->strings, i),
					    strings_get(&whole->strings, i));
	assert_true(part->nr_stacks <= whole->nr_stacks);
	for (size_t i = 0; i < part->nr_stacks; i++)
		if (part->stacks[i].id)
			assert_memory_equal(&part->stacks[i], &whole->stacks[i],
					    sizeof(part->stacks[i]));
	assert_true(part->nr_nodes <= whole->nr_nodes);
	for (size_t i = 0; i < part->nr_nodes; i++)
		if (part->nodes[i].special != FRAME_UNKNOWN_STACK)
			assert_int_equal(part->nodes[i].parent, whole->nodes[i].parent);
	for (size_t i = 0; i < part->nr_blocks; i++) {
		while (at < whole->nr_blocks && whole->blocks[at].addr != part->blocks[i].addr)
			at++;
		assert_true(at < whole->nr_blocks);
		assert_int_equal(part->blocks[i].size, whole->blocks[at].size);
		assert_int_equal(part->blocks[i].stack, whole->blocks[at].stack);
	}
}

/* Reads; success must be told apart from damage. True: there is a (partial) snapshot in *back. */
static inline bool read_part(const void *data, size_t len, const struct snapshot *whole,
			     struct snapshot *back, struct seepfile_damage *damage)
{
	struct error e = {0};
	int err = seepfile_read_bytes(data, len, "x", back, damage, &e);

	if (err) {
		assert_true(err < 0);
		assert_int_equal(e.status, EXIT_FILE);
		assert_non_null(strstr(e.message, "'x'"));
		return false;
	}
	if (damage->damaged) {
		assert_true(damage->what[0]);
		assert_part_of(back, whole);
	} else {
		assert_null(sample_difference(whole, back));
	}
	return true;
}

#endif
