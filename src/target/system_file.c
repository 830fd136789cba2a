/* Replacing files of the system; see system_file.h. */
#include "target/system_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"

int system_file_explain(const char *path, int err, struct error *e)
{
	error_set(e, err, EXIT_FILE, "cannot write '%s': %s", path, error_strerror(err));
	if ((err == -EACCES || err == -EPERM) && geteuid() != 0)
		error_hint(e, "this is about programs that anybody starts, so only root may: sudo "
			      "seep flags …");
	else if (err == -EROFS)
		error_hint(e, "this system's /etc is read-only; 'seep run' needs no file of it");
	else if (err == -EPERM || err == -EACCES)
		error_hint(e, "is the file or its folder marked immutable (lsattr), or kept by a "
			      "security policy?");
	else if (err == -ENOSPC || err == -EDQUOT)
		error_hint(e, "free some space");
	return err;
}

int system_file_replace(const char *path, const void *data, size_t len, struct error *e)
{
	struct replace file;
	struct error why = {0};
	struct stat st;
	mode_t mode = 0644;
	int r = replace_open(&file, path, &why);

	if (r < 0)
		return system_file_explain(path, r, e);
	if (!stat(path, &st)) {
		mode = st.st_mode & 0777;
		if (fchown(file.fd, st.st_uid, st.st_gid) < 0)
			r = -errno;
	}
	if (r == 0 && fchmod(file.fd, mode) < 0)
		r = -errno;
	if (r == 0)
		r = replace_write(&file, data, len, &why);
	if (r == 0)
		r = replace_commit(&file, &why);
	replace_close(&file);
	return r < 0 ? system_file_explain(path, r, e) : 0;
}

int system_file_remove(const char *path, struct error *e)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return system_file_explain(path, -errno, e);
	return 0;
}

bool system_file_is_public(const char *path, char **ret_stops)
{
	char *part = mem_strdup(path);
	char *slash = part;

	for (;;) {
		struct stat st;

		slash = strchr(slash + 1, '/');
		if (slash)
			*slash = '\0';
		if (stat(part, &st) < 0 || !(st.st_mode & (slash ? S_IXOTH : S_IROTH)))
			break;
		if (!slash) {
			free(part);
			return true;
		}
		*slash = '/';
	}
	*ret_stops = part;
	return false;
}
