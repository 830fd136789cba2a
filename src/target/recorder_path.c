/* The usual places, in order; see recorder_path.h. */
#include "target/recorder_path.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"

/* The folder of our own program, resolved; NULL: not known. Caller frees. */
static char *own_folder(void)
{
	char *path = realpath("/proc/self/exe", NULL);
	char *slash = path ? strrchr(path, '/') : NULL;

	if (slash)
		*slash = '\0';
	return path;
}

static bool is_readable_file(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, R_OK);
}

/* First match of a pattern, resolved; NULL none. Caller frees. */
static char *first_match(const char *pattern)
{
	char *found = NULL;
	glob_t matches;

	if (glob(pattern, 0, NULL, &matches))
		return NULL;
	for (size_t i = 0; i < matches.gl_pathc && !found; i++)
		if (is_readable_file(matches.gl_pathv[i]))
			found = realpath(matches.gl_pathv[i], NULL);
	globfree(&matches);
	return found;
}

/* A path taken literally by glob(). */
static char *escape(const char *path)
{
	char *to = mem_alloc(2 * strlen(path) + 1), *p = to;

	for (; *path; path++) {
		if (strchr("*?[\\", *path))
			*p++ = '\\';
		*p++ = *path;
	}
	return to;
}

static char *search(const char *file)
{
	static const char *const beside[] = {"../" SEEP_LIBDIR_NAME "/seep/", "../lib*/seep/",
					     "../lib/*/seep/", "../rec/", "rec/"};
	char *folder = own_folder(), *literal = folder ? escape(folder) : NULL, *found = NULL;

	for (size_t i = 0; literal && !found && i < sizeof(beside) / sizeof(beside[0]); i++) {
		char *pattern = mem_printf("%s/%s%s", literal, beside[i], file);

		found = first_match(pattern);
		free(pattern);
	}
	free(literal);
	free(folder);
	if (!found) {
		char *pattern = mem_printf("%s/seep/%s", SEEP_LIBDIR, file);

		found = first_match(pattern);
		free(pattern);
	}
	return found;
}

static int resolve_named(const char *path, char **ret, struct error *e)
{
	int err;

	*ret = is_readable_file(path) ? realpath(path, NULL) : NULL;
	if (*ret)
		return 0;
	err = access(path, R_OK) < 0 ? -errno : -EINVAL;
	return error_set(e, err, EXIT_TARGET, "cannot use the recorder '%s': %s", path,
			 err == -EINVAL ? "not a file" : error_strerror(err));
}

int recorder_path(const char *named, bool check, char **ret, struct error *e)
{
	const char *file = check ? "libseep-rec-check.so" : "libseep-rec.so";
	char *found;
	int r;

	if (!named && !check)
		named = getenv(RECORDER_VARIABLE);
	if (named && *named) {
		r = resolve_named(named, &found, e);
		if (r < 0)
			return r;
	} else {
		found = search(file);
	}
	if (!found) {
		error_set(e, -ENOENT, EXIT_TARGET, "cannot find the recorder (%s)", file);
		error_hint(e, "install seep again, or name the file in " RECORDER_VARIABLE);
		return -ENOENT;
	}
	if (found[strcspn(found, ": \t\n$")]) {
		error_set(e, -EINVAL, EXIT_TARGET, "cannot preload '%s'", found);
		error_hint(e,
			   "the dynamic loader takes no path with a blank, ':' or '$' in it; put "
			   "seep into another folder");
		free(found);
		return -EINVAL;
	}
	*ret = found;
	return 0;
}

int recorder_blob_path(char **ret, struct error *e)
{
	static const char file[] = "libseep-blob.so";
	const char *named = getenv(BLOB_VARIABLE);

	if (named && *named)
		return resolve_named(named, ret, e);
	*ret = search(file);
	if (*ret)
		return 0;
	error_set(e, -ENOENT, EXIT_TARGET, "cannot find the recorder (%s)", file);
	error_hint(e, "install seep again, or name the file in " BLOB_VARIABLE);
	return -ENOENT;
}
