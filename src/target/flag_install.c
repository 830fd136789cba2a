/* The flags' files, in the right order; see flag_install.h. */
#include "target/flag_install.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "target/flag_registry.h"
#include "target/flag_unit.h"
#include "target/preload_list.h"
#include "target/system_file.h"

#define PRELOAD_MAX (1u << 20)

void flag_places_init(struct flag_places *p)
{
	const char *etc = getenv(FLAG_FOLDER_VARIABLE);

	p->is_test = etc && *etc;
	if (!p->is_test)
		etc = "/etc";
	p->folder = mem_printf("%s/seep", etc);
	p->registry = mem_printf("%s/seep/flags", etc);
	p->preload = mem_printf("%s/ld.so.preload", etc);
	p->daemon = mem_printf("%s/seep/daemon", etc);
	p->units = mem_printf("%s/systemd/system", etc);
	p->lock = p->daemon_lock = -1;
}

void flag_places_release(struct flag_places *p)
{
	if (!p)
		return;
	flag_unlock(p);
	if (p->daemon_lock >= 0)
		close(p->daemon_lock);
	free(p->daemon);
	free(p->units);
	free(p->folder);
	free(p->registry);
	free(p->preload);
	*p = (struct flag_places){.lock = -1, .daemon_lock = -1};
}

/* The lock is on the folder itself: nothing of it is left behind. */
static int try_lock(struct flag_places *p)
{
	struct stat held, there;
	int fd, r = 0;

	if (mkdir(p->folder, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = open(p->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	while (flock(fd, LOCK_EX) < 0 && r == 0)
		r = errno == EINTR ? 0 : -errno;
	/* Who held it may have removed the folder with the last image. */
	if (r == 0 && (fstat(fd, &held) < 0 || stat(p->folder, &there) < 0 ||
		       held.st_ino != there.st_ino || held.st_dev != there.st_dev))
		r = -EAGAIN;
	if (r == 0 && faccessat(AT_FDCWD, p->folder, W_OK, AT_EACCESS) < 0)
		r = -errno;
	if (r < 0)
		close(fd);
	else
		p->lock = fd;
	return r;
}

int flag_lock(struct flag_places *p, struct error *e)
{
	int r;

	do
		r = try_lock(p);
	while (r == -EAGAIN);
	if (r == 0 || r == -ENOTDIR)
		return r == 0 ? 0 : system_file_explain(p->folder, r, e);
	/* No folder is left behind by somebody who may not do more. */
	rmdir(p->folder);
	return system_file_explain(p->registry, r, e);
}

void flag_unlock(struct flag_places *p)
{
	if (p->lock >= 0)
		close(p->lock);
	p->lock = -1;
}

static int check_public(const char *path, struct error *e)
{
	char *stops;

	if (system_file_is_public(path, &stops))
		return 0;
	error_set(e, -EACCES, EXIT_TARGET, "cannot preload '%s': '%s' is not open to all users",
		  path, stops);
	error_hint(e, "every program would complain about a library that it may not read; install "
		      "seep where all users can reach it");
	free(stops);
	return -EACCES;
}

int flag_stub_find(const char *recorder, char **ret_stub, struct error *e)
{
	const char *slash = strrchr(recorder, '/');
	char *stub = mem_printf("%.*s/" FLAG_STUB, (int)(slash - recorder), recorder);
	int r = 0;

	if (access(stub, R_OK) < 0) {
		r = error_set(e, -errno, EXIT_TARGET, "cannot use '%s': %s", stub,
			      error_strerror(errno));
		error_hint(e, "it belongs beside the recorder: install seep again");
	}
	if (r == 0)
		r = check_public(stub, e);
	if (r == 0)
		r = check_public(recorder, e);
	if (r < 0)
		free(stub);
	else
		*ret_stub = stub;
	return r;
}

/* ---- the daemon ---- */

int flag_daemon_enter(struct flag_places *p, struct error *e)
{
	int r = flag_lock(p, e), fd;

	if (r < 0)
		return r;
	fd = open(p->daemon, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		r = system_file_explain(p->daemon, -errno, e);
	} else if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		r = error_set(e, -EBUSY, EXIT_TARGET, "a daemon of seep flags runs already");
		close(fd);
	} else {
		p->daemon_lock = fd;
	}
	flag_unlock(p);
	return r;
}

void flag_daemon_leave(struct flag_places *p)
{
	if (p->daemon_lock < 0)
		return;
	unlink(p->daemon);
	close(p->daemon_lock);
	p->daemon_lock = -1;
}

bool flag_daemon_runs(const struct flag_places *p)
{
	int fd;
	bool runs;

	if (p->daemon_lock >= 0)
		return true;
	fd = open(p->daemon, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return errno != ENOENT;
	runs = flock(fd, LOCK_EX | LOCK_NB) < 0;
	close(fd);
	return runs;
}

static bool needs_stub(const struct flag_places *p, const struct flag_registry *r)
{
	bool daemon = flag_daemon_runs(p);

	for (size_t i = 0; i < r->nr; i++)
		if (!r->flags[i].unit && (r->flags[i].by_name || !daemon))
			return true;
	return false;
}

/* ---- on and off ---- */

static int switch_off(const struct flag_places *p, struct error *e)
{
	const struct flag_registry none = FLAG_REGISTRY_INIT;
	int r = flag_units_apply(p, &none, NULL, e);

	if (r == 0)
		r = preload_list_write(p->preload, FLAG_STUB, NULL, e);

	if (!flag_daemon_runs(p))
		unlink(p->daemon); /* of one that was killed */
	if (r == 0)
		r = system_file_remove(p->registry, e);
	if (r == 0)
		rmdir(p->folder); /* unless somebody keeps files of his own there */
	return r;
}

int flag_apply(const struct flag_places *p, const struct flag_registry *r, const char *stub,
	       struct error *e)
{
	int err;

	if (!r->nr)
		return switch_off(p, e);
	err = flag_registry_write(r, p->registry, e);
	if (err == 0)
		err = flag_units_apply(p, r, stub, e);
	if (err < 0)
		return err;
	if (!needs_stub(p, r))
		return preload_list_write(p->preload, FLAG_STUB, NULL, e);
	return stub ? preload_list_write(p->preload, FLAG_STUB, stub, e) : 0;
}

bool flag_is_installed(const struct flag_places *p)
{
	struct str text = STR_INIT;
	bool yes = io_read_file(p->preload, PRELOAD_MAX, &text) == 0 &&
		   preload_list_holds(text.data, text.len, FLAG_STUB);

	str_release(&text);
	return yes;
}
