#include "sym_lab.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "sym/image.h"

#define VICTIMS SEEP_TEST_VICTIMS /* absolute path of tests/victims */

void lab_open(struct lab *l)
{
	const char *tmp = getenv("TMPDIR");

	l->dir = mem_printf("%s/seep-sym-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(l->dir));
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

void lab_close(struct lab *l)
{
	nftw(l->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(l->dir);
}

char *lab_path(const struct lab *l, const char *name)
{
	return mem_printf("%s/%s", l->dir, name);
}

char *lab_victim(const char *name)
{
	return mem_printf(VICTIMS "/%s", name);
}

static char *run(const struct lab *l, const char *command, int *ret_status)
{
	char *full = mem_printf("cd '%s' && VICTIMS='%s' && { %s ; }", l->dir, VICTIMS, command);
	FILE *f = popen(full, "r");
	struct str out = STR_INIT;
	char piece[4096];
	size_t got;

	assert_non_null(f);
	while ((got = fread(piece, 1, sizeof(piece), f)) > 0)
		str_add_len(&out, piece, got);
	*ret_status = pclose(f);
	free(full);
	return str_detach(&out);
}

static char *vformat(const char *format, va_list args)
{
	char *text;

	assert_true(vasprintf(&text, format, args) >= 0);
	return text;
}

int lab_sh(const struct lab *l, const char *format, ...)
{
	char *command, *out;
	va_list args;
	int status;

	va_start(args, format);
	command = vformat(format, args);
	va_end(args);
	out = run(l, command, &status);
	if (*out)
		print_message("# %s\n", out);
	free(out);
	free(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

char *lab_output(const struct lab *l, const char *format, ...)
{
	char *command, *out;
	va_list args;
	int status;

	va_start(args, format);
	command = vformat(format, args);
	va_end(args);
	out = run(l, command, &status);
	free(command);
	if (status == 0)
		return out;
	free(out);
	return NULL;
}

bool lab_has(const char *command)
{
	char *test = mem_printf("command -v %s >/dev/null 2>&1", command);
	bool has = system(test) == 0;

	if (!has)
		print_message("# skipped: %s is not installed\n", command);
	free(test);
	return has;
}

uint32_t lab_mark(const char *source, const char *mark)
{
	char *path = lab_victim(source), *wanted = mem_printf("/* at: %s */", mark);
	FILE *f = fopen(path, "r");
	uint32_t line = 0, found = 0;
	char text[1024];

	assert_non_null(f);
	while (!found && fgets(text, sizeof(text), f)) {
		line++;
		if (strstr(text, wanted))
			found = line;
	}
	fclose(f);
	free(wanted);
	free(path);
	if (!found)
		fail_msg("no mark '%s' in %s", mark, source);
	return found;
}

uint64_t lab_note(const struct lab *l, const char *program, const char *label)
{
	char *out = lab_output(l, "./%s", program), *line, *next;
	size_t len = strlen(label);
	uint64_t addr = 0;

	assert_non_null(out);
	for (line = out; !addr && line; line = next) {
		next = strchr(line, '\n');
		if (next)
			next++;
		if (!strncmp(line, label, len) && line[len] == ' ')
			addr = strtoull(line + len, NULL, 16);
	}
	free(out);
	assert_int_not_equal(addr, 0);
	return addr;
}

void lab_module_init(struct lab_module *m, const struct lab *l, const char *program, uint64_t bias)
{
	const struct image_span *span;
	struct image *img;
	const uint8_t *id;
	int fd;

	*m = (struct lab_module){.path = lab_path(l, program)};
	fd = open(m->path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	img = image_open(fd);
	assert_non_null(img);
	span = image_span(img);
	m->is = (struct sym_module){
		.path = m->path,
		.start = bias + (span->start & ~4095ull),
		.end = bias + ((span->end + 4095) & ~4095ull),
		.bias = bias,
		.build_id = m->build_id,
	};
	m->is.build_id_len = image_build_id(img, &id);
	memcpy(m->build_id, id, m->is.build_id_len);
	image_close(img);
	close(fd);
}

void lab_module_release(struct lab_module *m)
{
	free(m->path);
}

void lab_expect(struct sym *s, int module, uint64_t pc, const char *source,
		const struct lab_frame *expected)
{
	const struct sym_frame *frames;
	size_t i, nr = sym_resolve(s, module, pc - 1, &frames);

	for (i = 0; expected[i].function; i++) {
		uint32_t line = expected[i].mark ? lab_mark(source, expected[i].mark) : 0;

		if (i >= nr)
			fail_msg("%s is missing: only %zu frames", expected[i].function, nr);
		assert_string_equal(frames[i].function, expected[i].function);
		assert_int_equal(frames[i].line, line);
		if (expected[i].mark) {
			char *path = lab_victim(source);

			assert_string_equal(frames[i].file, path);
			free(path);
		}
	}
	assert_int_equal(nr, i);
}

void lab_expect_build(const struct lab *l, const char *build, const char *label, const char *source,
		      const struct lab_frame *expected)
{
	struct sym_options o = {.no_debuginfod = true};
	struct sym *s = sym_new(&o);
	struct lab_module m;

	assert_int_equal(lab_sh(l, "%s", build), 0);
	lab_module_init(&m, l, "prog", 0x10000);
	/* Position-dependent programs cannot be elsewhere, but the arithmetic is the same. */
	lab_expect(s, sym_add_module(s, &m.is), lab_note(l, "prog", label) + 0x10000, source,
		   expected);
	lab_module_release(&m);
	sym_free(s);
}
