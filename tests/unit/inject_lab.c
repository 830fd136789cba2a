#include "inject_lab.h"

#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"

const char inject_lab_sayer[] =
	"#define _GNU_SOURCE\n"
	"#include <dlfcn.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
	"int main(int argc, char **argv)\n"
	"{\n"
	"	char c;\n"
	"	free(malloc(100));\n"
	"	for (int i = 1; i < argc; i++)\n"
	"		printf(\"%s %p\\n\", argv[i], dlsym(RTLD_DEFAULT, argv[i]));\n"
	"	printf(\"ready\\n\");\n"
	"	fflush(stdout);\n"
	"	return read(0, &c, 1) != 0;\n"
	"}\n";

const char inject_lab_static_sayer[] =
	"#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
	"int main(void)\n"
	"{\n"
	"	char c;\n"
	"	free(realloc(calloc(3, 4), 100));\n"
	"	printf(\"malloc %p\\ncalloc %p\\nrealloc %p\\nfree %p\\nready\\n\",\n"
	"	       (void *)malloc, (void *)calloc, (void *)realloc, (void *)free);\n"
	"	fflush(stdout);\n"
	"	return read(0, &c, 1) != 0;\n"
	"}\n";

void inject_lab_open(struct inject_lab *l)
{
	const char *tmp = getenv("TMPDIR");

	l->dir = mem_printf("%s/seep-inject-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(l->dir));
	assert_int_equal(chmod(l->dir, 0755), 0);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

void inject_lab_close(struct inject_lab *l)
{
	nftw(l->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(l->dir);
}

void inject_lab_write(struct inject_lab *l, const char *name, const char *text)
{
	char *path = mem_printf("%s/%s", l->dir, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	free(path);
}

bool inject_lab_sh(struct inject_lab *l, const char *format, ...)
{
	char *command, *full;
	va_list args;
	int status;

	va_start(args, format);
	assert_true(vasprintf(&command, format, args) >= 0);
	va_end(args);
	full = mem_printf("cd '%s' && { %s ; } 1>&2", l->dir, command);
	status = system(full);
	free(full);
	free(command);
	return status == 0;
}

/* Up to and without "ready\n"; false: it ended first. */
static bool read_said(int fd, char **ret)
{
	struct str text = STR_INIT;
	char *ready = NULL, c;

	while (!ready && read(fd, &c, 1) == 1) {
		str_add_char(&text, c);
		ready = c == '\n' ? strstr(text.data, "ready\n") : NULL;
	}
	*ret = str_detach(&text);
	return ready != NULL;
}

bool inject_run_start(struct inject_lab *l, const char *command, struct inject_run *ret)
{
	char *full = mem_printf("cd '%s' && exec %s", l->dir, command);
	int in[2], out[2];
	bool ready;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	ret->pid = fork();
	assert_true(ret->pid >= 0);
	if (ret->pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execl("/bin/sh", "sh", "-c", full, (char *)NULL);
		_exit(127);
	}
	free(full);
	close(in[0]);
	close(out[1]);
	ret->in = in[1];
	ready = read_said(out[0], &ret->said);
	close(out[0]);
	if (!ready)
		inject_run_stop(ret);
	return ready;
}

uint64_t inject_run_address(const struct inject_run *r, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = r->said; at && *at; at = strchr(at, '\n'), at += at ? 1 : 0) {
		if (!strncmp(at, name, len) && at[len] == ' ')
			return strtoull(at + len + 1, NULL, 16);
	}
	return 0;
}

void inject_run_stop(struct inject_run *r)
{
	close(r->in);
	kill(r->pid, SIGKILL);
	waitpid(r->pid, NULL, 0);
	free(r->said);
}
