/* Opening cores of sample_core.h, and a folder with the files that they were made from. */
#ifndef CORE_TEST_H
#define CORE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "base/error.h"
#include "base/str.h"
#include "sample_core.h"
#include "target/maps.h"
#include "target/process.h"
#include "target/target.h"

#define UNUSED __attribute__((unused))
#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

static UNUSED struct target *open_bytes(const struct str *bytes, const char *files)
{
	struct target_options o = {.files = files};
	struct error e = {0};
	struct target *t = NULL;
	char path[64];
	int fd = sample_file(bytes->data, bytes->len, path);

	assert_true(target_is_core(path));
	if (target_open_core(path, &o, &t, &e) < 0)
		fail_msg("%s", e.message);
	close(fd);
	return t;
}

static UNUSED struct target *open_sample(struct sample *s, const char *files)
{
	struct str bytes;
	struct target *t;

	forge_build(&s->forge, &bytes);
	t = open_bytes(&bytes, files);
	str_release(&bytes);
	forge_end(&s->forge);
	return t;
}

static UNUSED const struct target_thread *thread(const struct target *t, int32_t tid)
{
	size_t nr;
	const struct target_thread *threads = target_threads(t, &nr);

	for (size_t i = 0; i < nr; i++) {
		if (threads[i].tid == tid)
			return &threads[i];
	}
	fail_msg("no thread %d", tid);
	return NULL;
}

struct folder {
	char path[64], file[160];
};

static UNUSED void put_file(const char *path, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	close(fd);
}

static UNUSED int make_folder(void **state)
{
	struct folder *f = mem_alloc(sizeof(*f));

	snprintf(f->path, sizeof(f->path), "/tmp/seep-core-XXXXXX");
	if (!mkdtemp(f->path))
		return -1;
	snprintf(f->file, sizeof(f->file), "%s/lib.so", f->path);
	*state = f;
	return 0;
}

static UNUSED int remove_folder(void **state)
{
	struct folder *f = *state;

	unlink(f->file);
	rmdir(f->path);
	free(f);
	return 0;
}

static UNUSED void code_of(struct target *t, struct sample *s, bool there)
{
	uint8_t got[2 * FORGE_PAGE];

	assert_int_equal(target_read(t, SAMPLE_CODE, got, sizeof(got)), there ? 4096 : 0);
	if (there)
		assert_memory_equal(got, s->lib + 4096, 4096);
	/* Never from the file: relocations were written to it. */
	assert_int_equal(target_read(t, SAMPLE_RELRO, got, 1), 0);
}

#endif
