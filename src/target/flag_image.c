/* Images and their starts; see flag_image.h. */
#include "target/flag_image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "target/elf_probe.h"
#include "target/flag_registry.h"
#include "target/proc.h"
#include "target/program.h"
#include "target/recorded.h"

#define NAME_BYTES_MAX 255

/* ---- names ---- */

static int bad_name(const char *operand, const char *why, struct error *e)
{
	return error_set(e, -EINVAL, EXIT_USAGE, "cannot flag '%s': %s", operand, why);
}

static int check_characters(const char *operand, const char *text, struct error *e)
{
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return bad_name(operand, "it has a control character in its name", e);
	if (strlen(text) >= FLAG_IMAGE_MAX)
		return bad_name(operand, "the path is too long", e);
	return 0;
}

/* The folder may be there still when the file is not. */
static char *resolve_gone(const char *operand)
{
	const char *slash = strrchr(operand, '/');
	char *folder = mem_strndup(operand, slash == operand ? 1 : (size_t)(slash - operand));
	char *real = realpath(folder, NULL), *path = NULL;

	if (real)
		path = mem_printf("%s/%s", strcmp(real, "/") ? real : "", slash + 1);
	else if (*operand == '/')
		path = mem_strdup(operand);
	free(folder);
	free(real);
	return path;
}

static int resolve(const char *operand, bool must_exist, char **ret, struct error *e)
{
	char *path = realpath(operand, NULL);
	int err = errno;

	if (!path && !must_exist)
		path = resolve_gone(operand);
	if (!path)
		return error_set(e, -err, EXIT_TARGET, "cannot flag '%s': %s", operand,
				 error_strerror(err));
	*ret = path;
	return 0;
}

int flag_image_name(const char *operand, bool by_name, bool must_exist, char **ret, struct error *e)
{
	char *path = NULL;
	int r;

	if (!*operand)
		return bad_name(operand, "the name is empty", e);
	if (by_name && (strchr(operand, '/') || strlen(operand) > NAME_BYTES_MAX)) {
		bad_name(operand, "--name takes the last part of a path", e);
		error_hint(e, "'seep flags --name nginx +ust', or the whole path without --name");
		return -EINVAL;
	}
	if (!by_name && !strchr(operand, '/')) {
		bad_name(operand, "it is no path", e);
		error_hint(e, "write the path of the program, or --name for every program of that "
			      "name");
		return -EINVAL;
	}
	if (by_name) {
		r = check_characters(operand, operand, e);
		if (r == 0)
			*ret = mem_strdup(operand);
		return r;
	}
	r = resolve(operand, must_exist, &path, e);
	if (r < 0)
		return r;
	r = check_characters(operand, path, e);
	if (r < 0)
		free(path);
	else
		*ret = path;
	return r;
}

/* ---- what cannot be recorded ---- */

static int cannot(const char *path, const char *why, struct error *e)
{
	return error_set(e, -EPERM, EXIT_TARGET, "cannot flag '%s': %s", path, why);
}

/* Others start it than who flags it: any privilege counts, whoever asks. */
static int check_privileges(int fd, const char *path, struct error *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set(e, -errno, EXIT_TARGET, "cannot read '%s': %s", path,
				 error_strerror(errno));
	if (!S_ISREG(st.st_mode))
		return cannot(path, "it is not a program", e);
	if (st.st_mode & S_ISUID)
		cannot(path, "it runs as another user (set-user-ID)", e);
	else if ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP))
		cannot(path, "it runs as another group (set-group-ID)", e);
	else if (fgetxattr(fd, "security.capability", NULL, 0) > 0)
		cannot(path, "it has capabilities of its own (file capabilities)", e);
	else
		return 0;
	error_hint(e, "nothing of seep goes into programs with privileges; record a copy without "
		      "them with 'seep run'");
	return -EPERM;
}

static int check_loader(int fd, const char *path, struct error *e)
{
	struct elf_probe probe;
	const char *base;

	if (elf_probe(fd, &probe) < 0 || probe.kind != ELF_KIND_DYNAMIC)
		return cannot(path, "it is not a dynamically linked program", e);
	base = text_base_name(probe.interpreter);
	if (text_starts_with(base, "ld-linux") || text_starts_with(base, "ld.so"))
		return 0;
	error_set(e, -ENOEXEC, EXIT_TARGET,
		  "cannot flag '%s': its loader '%s' does not read /etc/ld.so.preload", path,
		  probe.interpreter);
	error_hint(e, "start it with 'seep run'");
	return -ENOEXEC;
}

/* The words of program.c are about running; here it is about flagging. */
static int reword(struct error *e, const char *path)
{
	const char *why = e ? strstr(e->message, "': ") : NULL;
	char *copy;

	if (!why)
		return e ? e->err : -ENOEXEC;
	copy = mem_strdup(why + strlen("': "));
	snprintf(e->message, sizeof(e->message), "cannot flag '%s': %s", path, copy);
	free(copy);
	return e->err;
}

static int check_script(const char *path, const struct program *p, struct error *e)
{
	struct stat script, image;

	if (!p->by_shell && (stat(path, &script) < 0 || stat(p->image, &image) < 0 ||
			     (script.st_dev == image.st_dev && script.st_ino == image.st_ino)))
		return 0;
	cannot(path, "it is a script", e);
	error_hint(e,
		   "what starts is its interpreter, for every script: 'seep flags %s +ust'; for "
		   "this one, 'seep run'",
		   p->image);
	return -EPERM;
}

static int check_static(const char *path, bool daemon, struct error *e)
{
	if (daemon)
		return 0;
	cannot(path, "it is statically linked", e);
	error_hint(e, "only the daemon records such programs: start 'seep flags --daemon' first");
	return -EPERM;
}

int flag_image_check(const char *path, bool daemon, struct error *e)
{
	struct program p = PROGRAM_INIT;
	int fd, r;

	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return error_set(e, -errno, EXIT_TARGET, "cannot read '%s': %s", path,
				 error_strerror(errno));
	r = check_privileges(fd, path, e);
	if (r == 0 && program_open(path, &p, e) < 0)
		r = reword(e, path);
	if (r == 0)
		r = check_script(path, &p, e);
	if (r == 0)
		r = p.is_static ? check_static(path, daemon, e) : check_loader(fd, path, e);
	program_release(&p);
	close(fd);
	return r;
}

/* ---- processes ---- */

bool flag_image_is(const struct flag *flag, const char *exe)
{
	const char *base = strrchr(exe, '/');

	if (!flag->by_name)
		return !strcmp(exe, flag->image);
	return base && !strcmp(base + 1, flag->image);
}

static void count_process(int dir, const struct flag *flags, size_t nr, struct flag_use *uses)
{
	static const char gone[] = " (deleted)";
	enum recorded_answer answer = RECORDED_UNKNOWN;
	bool looked = false;
	char *exe;
	size_t len;

	if (proc_read_link(dir, "exe", &exe) < 0)
		return;
	len = strlen(exe);
	if (len > strlen(gone) && !strcmp(exe + len - strlen(gone), gone))
		exe[len - strlen(gone)] = '\0';
	for (size_t i = 0; i < nr; i++) {
		if (!flag_image_is(&flags[i], exe))
			continue;
		if (!looked)
			answer = recorded_look(dir).answer;
		looked = true;
		uses[i].running++;
		uses[i].recorded += answer == RECORDED_YES;
	}
	free(exe);
}

void flag_image_uses(const struct flag *flags, size_t nr, struct flag_use *uses)
{
	int32_t *pids;
	size_t nr_pids;

	memset(uses, 0, nr * sizeof(*uses));
	if (!nr || proc_list_pids(&pids, &nr_pids) < 0)
		return;
	for (size_t i = 0; i < nr_pids; i++) {
		int dir = proc_open(pids[i]);

		if (dir < 0)
			continue;
		count_process(dir, flags, nr, uses);
		close(dir);
	}
	free(pids);
}
