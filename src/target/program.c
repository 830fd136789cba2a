/*
 * The checks follow what the kernel will do on exec: the interpreter of a script decides, not the
 * script; privileges count only where exec would grant them.
 */
#include "target/program.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "target/elf_probe.h"

#define SCRIPTS_MAX 4 /* interpreters that are scripts themselves; the kernel stops at 5 */
#define SHELL "/bin/sh"

/* ---- finding it ---- */

static bool is_directory(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static bool may_execute(const char *path)
{
	return !is_directory(path) && !faccessat(AT_FDCWD, path, X_OK, AT_EACCESS);
}

/* The first executable in PATH; else the first file of that name in *ret_denied. Caller frees. */
static char *search_path(const char *name, char **ret_denied)
{
	const char *folder = getenv("PATH");

	*ret_denied = NULL;
	if (!folder)
		folder = "/bin:/usr/bin";
	for (;;) {
		int len = (int)strcspn(folder, ":");
		char *path =
			len ? mem_printf("%.*s/%s", len, folder, name) : mem_printf("./%s", name);

		if (may_execute(path)) {
			free(*ret_denied);
			return path;
		}
		if (!*ret_denied && !is_directory(path) && !access(path, F_OK))
			*ret_denied = path;
		else
			free(path);
		if (!folder[len])
			return NULL;
		folder += len + 1;
	}
}

static int not_there(const char *name, struct error *e)
{
	error_set(e, -ENOENT, EXIT_TARGET, "cannot run '%s': %s", name, error_strerror(ENOENT));
	if (strchr(name, '/'))
		return -ENOENT;
	if (*name && may_execute(name))
		error_hint(e, "the one in this folder is './%s'", name);
	else
		error_hint(e, "no folder of PATH holds a program of this name");
	return -ENOENT;
}

static int not_executable(const char *path, int err, struct error *e)
{
	struct stat st;

	if (err == ENOENT || err == ENOTDIR)
		return error_set(e, -err, EXIT_TARGET, "cannot run '%s': %s", path,
				 error_strerror(err));
	error_set(e, -err, EXIT_TARGET, "cannot run '%s': %s", path, error_strerror(err));
	if (!stat(path, &st) && S_ISREG(st.st_mode) && !(st.st_mode & 0111))
		error_hint(e, "the file is not marked as executable (chmod +x)");
	return -err;
}

/* What execvp() would run, or why it would not. */
static int find(const char *name, char **ret, struct error *e)
{
	char *denied, *found;

	if (strchr(name, '/')) {
		if (is_directory(name))
			return error_set(e, -EISDIR, EXIT_TARGET, "cannot run '%s': %s", name,
					 error_strerror(EISDIR));
		if (faccessat(AT_FDCWD, name, X_OK, AT_EACCESS) < 0)
			return not_executable(name, errno, e);
		*ret = mem_strdup(name);
		return 0;
	}
	found = search_path(name, &denied);
	if (found) {
		*ret = found;
		return 0;
	}
	if (!denied)
		return not_there(name, e);
	not_executable(denied, EACCES, e);
	free(denied);
	return -EACCES;
}

/* ---- privileges ---- */

/* File capabilities that exec would grant and not merely let inherit. */
static bool has_capabilities(int fd)
{
	struct vfs_ns_cap_data data = {0};
	ssize_t len = fgetxattr(fd, "security.capability", &data, sizeof(data));

	if (len < (ssize_t)sizeof(data.magic_etc))
		return false;
	return (data.magic_etc & VFS_CAP_FLAGS_EFFECTIVE) || data.data[0].permitted ||
	       data.data[1].permitted;
}

/*
 * Will the kernel set AT_SECURE, so that the loader ignores LD_PRELOAD? NULL: no. It does when the
 * effective ids differ from the real ones after exec, or when an ordinary user gains capabilities.
 */
static const char *privilege(int fd, const struct stat *st)
{
	struct statvfs fs;

	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return NULL;
	if (!fstatvfs(fd, &fs) && (fs.f_flag & ST_NOSUID))
		return NULL;
	if ((st->st_mode & S_ISUID) && st->st_uid != getuid())
		return "it runs as another user (set-user-ID)";
	if ((st->st_mode & S_ISGID) && (st->st_mode & S_IXGRP) && st->st_gid != getgid())
		return "it runs as another group (set-group-ID)";
	if (getuid() != 0 && has_capabilities(fd))
		return "it has capabilities of its own (file capabilities)";
	return NULL;
}

/* ---- what the file is ---- */

static int cannot(const char *verb, const char *image, const char *why, struct error *e)
{
	return error_set(e, -ENOEXEC, EXIT_TARGET, "cannot %s '%s': %s", verb, image, why);
}

/* A dynamic loader started by hand ("ld.so ./program") honours LD_PRELOAD like any other. */
static bool is_loader(const char *image)
{
	char *path = realpath(image, NULL);
	const char *base = path ? strrchr(path, '/') + 1 : "";
	bool yes = !strncmp(base, "ld-", 3) || !strncmp(base, "ld.so", 5);

	free(path);
	return yes;
}

static int refuse_foreign(const char *image, const char *machine, struct error *e)
{
	error_set(e, -ENOEXEC, EXIT_TARGET, "cannot record '%s': it is a program for %s", image,
		  machine);
	error_hint(e, "seep records only programs of its own kind, 64-bit and of the same machine");
	return -ENOEXEC;
}

/* Whatever is preloaded would find nothing to stand in front of. */
static int refuse_lonely(const char *image, struct error *e)
{
	cannot("record", image, "it uses no library, so not the C library's malloc either", e);
	error_hint(e, "a Go program without C code is like that: what Go allocates by itself is "
		      "not seen");
	return -ENOEXEC;
}

static int check_kind(const char *image, const struct elf_probe *p, struct error *e)
{
	switch (p->kind) {
	case ELF_KIND_DYNAMIC:
		if (p->needs_asan) {
			cannot("record", image, "it is built with AddressSanitizer", e);
			error_hint(e, "it brings its own malloc and finds leaks itself; build it "
				      "without -fsanitize=address");
			return -ENOEXEC;
		}
		if (!access(p->interpreter, F_OK))
			return p->needs_nothing ? refuse_lonely(image, e) : 0;
		error_set(e, -ENOENT, EXIT_TARGET, "cannot run '%s': its loader '%s' is missing",
			  image, p->interpreter);
		error_hint(e, "it was built for another system; install that loader's package");
		return -ENOENT;
	case ELF_KIND_LIBRARY:
		if (is_loader(image))
			return 0;
		return cannot("run", image, "it is a library, not a program", e);
	case ELF_KIND_STATIC:
		return 0;
	case ELF_KIND_FOREIGN:
		return refuse_foreign(image, p->machine, e);
	case ELF_KIND_EMPTY:
		return cannot("run", image, "the file is empty", e);
	case ELF_KIND_CUT:
		cannot("run", image, "the program file is cut short or damaged", e);
		error_hint(e, "build or copy it again");
		return -ENOEXEC;
	case ELF_KIND_SCRIPT:
	case ELF_KIND_TEXT:
	case ELF_KIND_NO_PROGRAM:
		break;
	}
	return cannot("run", image, "it is neither a program nor a script", e);
}

/* 0 probed, 1 may not be read (but run), negative errno with *e. */
static int probe(const char *image, struct elf_probe *ret, const char **ret_privilege,
		 struct error *e)
{
	int fd = open(image, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	int r;

	if (fd < 0 && errno == EACCES)
		return 1;
	if (fd < 0)
		return error_set(e, -errno, EXIT_TARGET, "cannot read '%s': %s", image,
				 error_strerror(errno));
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (!S_ISREG(st.st_mode))
		r = -EACCES;
	else
		r = elf_probe(fd, ret);
	if (r < 0)
		error_set(e, r, EXIT_TARGET, "cannot run '%s': %s", image, error_strerror(r));
	else
		*ret_privilege = privilege(fd, &st);
	close(fd);
	return r;
}

/* The interpreter that a #! line names, if it can be run. */
static int check_interpreter(const char *script, const char *interpreter, struct error *e)
{
	size_t len = strlen(interpreter);
	int err;

	if (is_directory(interpreter))
		err = EISDIR;
	else if (!faccessat(AT_FDCWD, interpreter, X_OK, AT_EACCESS))
		return 0;
	else
		err = errno;
	error_set(e, -err, EXIT_TARGET, "cannot run '%s': its interpreter '%s': %s", script,
		  interpreter, error_strerror(err));
	if (interpreter[len - 1] == '\r')
		error_hint(e,
			   "the first line ends in a carriage return: the file has DOS line ends");
	else
		error_hint(e, "the first line of the script names it");
	return -err;
}

/* Follows #! lines to the ELF file that will run. */
static int follow(struct program *p, struct error *e)
{
	const char *privileged = NULL;
	struct elf_probe file;
	int r = 0;

	for (int scripts = 0;; scripts++) {
		r = probe(p->image, &file, &privileged, e);
		if (r)
			return r < 0 ? r : 0;
		if (file.kind != ELF_KIND_SCRIPT && file.kind != ELF_KIND_TEXT)
			break;
		if (scripts == SCRIPTS_MAX || (scripts && file.kind == ELF_KIND_TEXT))
			return error_set(e, -ELOOP, EXIT_TARGET,
					 "cannot run '%s': no program behind its #! line", p->path);
		if (file.kind == ELF_KIND_TEXT) {
			p->by_shell = true;
			strcpy(file.interpreter, SHELL);
		}
		r = check_interpreter(p->image, file.interpreter, e);
		if (r < 0)
			return r;
		free(p->image);
		p->image = mem_strdup(file.interpreter);
	}
	p->is_static = file.kind == ELF_KIND_STATIC;
	r = check_kind(p->image, &file, e);
	if (r < 0 || !privileged)
		return r;
	cannot("record", p->image, privileged, e);
	error_hint(e, "the loader lets nothing be preloaded into such programs; run a copy without "
		      "the privilege, or run it as the user that it changes to");
	return -EPERM;
}

int program_open(const char *name, struct program *ret, struct error *e)
{
	struct program p = PROGRAM_INIT;
	int r = find(name, &p.path, e);

	if (r < 0)
		return r;
	p.image = mem_strdup(p.path);
	r = follow(&p, e);
	if (r < 0)
		program_release(&p);
	else
		*ret = p;
	return r;
}

void program_release(struct program *p)
{
	if (!p)
		return;
	free(p->path);
	free(p->image);
	*p = (struct program)PROGRAM_INIT;
}
