/* Reading a snapshot: open, recognise, load, check; and say well what is wrong with a file. */
#include "file/seepfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/units.h"
#include "file/buffer.h"
#include "file/compress.h"
#include "file/find.h"
#include "file/foreign.h"
#include "file/layout.h"
#include "file/load.h"
#include "model/snapshot.h"

/* Read at a time, and how much is looked at to recognise a foreign file. */
enum { PIECE_BYTES = 1 << 20, HEAD_BYTES = 4096 };

static const uint64_t file_max_bytes = 1ull << 36;

static int refuse(struct error *e, const char *path, int err, const char *why)
{
	return error_set(e, err, EXIT_FILE, "cannot read snapshot '%s': %s", path, why);
}

static int refuse_foreign(struct error *e, const char *path, const uint8_t *data, size_t len)
{
	struct foreign f = foreign_guess(data, len < HEAD_BYTES ? len : HEAD_BYTES);

	refuse(e, path, -EBADMSG, f.what);
	error_hint(e, "%s", f.hint ? f.hint : "seep snap PID -o FILE makes a snapshot");
	return -EBADMSG;
}

/* Less than a header: empty, or the beginning of one of ours, or foreign. */
static int check_short(const uint8_t *data, size_t len, const char *path, struct error *e)
{
	size_t magic = len < FILE_MAGIC_BYTES ? len : FILE_MAGIC_BYTES;

	if (!len) {
		refuse(e, path, -ENODATA, "the file is empty");
		error_hint(e, "it may be still being written, or the disk was full");
		return -ENODATA;
	}
	if (memcmp(data, FILE_MAGIC, magic) != 0)
		return refuse_foreign(e, path, data, len);
	return error_set(e, -EBADMSG, EXIT_FILE,
			 "cannot read snapshot '%s': cut short after %zu bytes, nothing is left",
			 path, len);
}

static int check_header(const uint8_t *data, size_t len, const char *path, struct error *e)
{
	uint32_t version;

	if (len < FILE_HEADER_BYTES)
		return check_short(data, len, path, e);
	if (memcmp(data, FILE_MAGIC, FILE_MAGIC_BYTES) != 0)
		return refuse_foreign(e, path, data, len);
	if (get_le32(data + FILE_ORDER_AT) == FILE_ORDER_OTHER)
		return refuse(e, path, -EBADMSG, "it is in another byte order");
	if (get_le64(data + FILE_CHECKSUM_AT) != hash_bytes(data, FILE_CHECKSUM_AT))
		return refuse(e, path, -EBADMSG, "its header is damaged");
	version = get_le32(data + FILE_VERSION_AT);
	if (version > SEEPFILE_VERSION) {
		error_set(e, -ENOTSUP, EXIT_FILE,
			  "snapshot '%s' was written by a newer seep (format %u, this one reads up "
			  "to %u)",
			  path, version, SEEPFILE_VERSION);
		error_hint(e, "use the seep that wrote it, or a newer one");
		return -ENOTSUP;
	}
	if (!version || get_le32(data + FILE_ORDER_AT) != FILE_ORDER_MARK ||
	    get_le32(data + FILE_HEADER_LEN_AT) != FILE_HEADER_BYTES)
		return refuse(e, path, -EBADMSG, "its header makes no sense");
	return 0;
}

/* The chunks are read: is what came of it a snapshot, and is it all of it? */
static int judge(const struct load *l, const struct chunk_list *list, const char *path,
		 struct seepfile_damage *damage, struct error *e)
{
	struct seepfile_damage found;
	struct error why;
	int err;

	if (!l->has_meta)
		return refuse(e, path, -EBADMSG,
			      list->has_end ? "damaged, no chunk says what it is a snapshot of"
					    : "cut short or damaged, nothing in it can be used");
	err = snapshot_check(l->s, &why);
	if (err)
		return error_set(e, -EBADMSG, EXIT_FILE,
				 "cannot read snapshot '%s': it contradicts itself: %s", path,
				 why.message);
	if (load_damage(l, list, &found) && !damage) {
		refuse(e, path, -EBADMSG, found.what);
		return -EBADMSG;
	}
	if (damage)
		*damage = found;
	return 0;
}

int seepfile_read_bytes(const void *data, size_t len, const char *path, struct snapshot *s,
			struct seepfile_damage *damage, struct error *e)
{
	struct chunk_list list;
	struct unpacker *u;
	struct load l;
	int err = check_header(data, len, path, e);

	if (err)
		return err;
	u = unpacker_new();
	chunk_list_find(&list, data, len, u);
	unpacker_free(u);
	snapshot_init(s);
	load_chunks(&l, &list, data, len, s);
	snapshot_sum(s);
	err = judge(&l, &list, path, damage, e);
	if (err)
		snapshot_release(s);
	chunk_list_release(&list);
	return err;
}

static int refuse_open(struct error *e, const char *path, int err)
{
	error_set(e, err, EXIT_FILE, "cannot open snapshot '%s': %s", path, error_strerror(err));
	if (err == -ENOENT)
		error_hint(e, "seep snap PID -o FILE makes a snapshot");
	else if (err == -EACCES || err == -EPERM)
		error_hint(e, "snapshots are readable by the user who made them only: ask that "
			      "user, or root, for a copy");
	return err;
}

static int refuse_folder(struct error *e, const char *path)
{
	refuse(e, path, -EISDIR, error_strerror(EISDIR));
	error_hint(e, "name the file in it");
	return -EISDIR;
}

/* A descriptor, or negative errno. */
static int open_source(const char *path, struct error *e)
{
	bool standard = !strcmp(path, "-");
	int fd = standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
			  : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	int err = 0;

	if (fd < 0)
		return refuse_open(e, path, -errno);
	if (fstat(fd, &st) < 0)
		err = refuse_open(e, path, -errno);
	else if (S_ISDIR(st.st_mode))
		err = refuse_folder(e, path);
	else if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		err = refuse(e, path, -EINVAL, "it is a device, not a file");
	if (!err)
		return fd;
	close(fd);
	return err;
}

/* All bytes of fd. The header is checked as soon as it is there: a foreign file can be huge. */
static int read_source(int fd, const char *path, struct buffer *bytes, struct error *e)
{
	size_t piece = HEAD_BYTES;

	for (;;) {
		long n = io_read_all(fd, buffer_reserve(bytes, piece), piece);
		int err = 0;

		if (n < 0)
			return refuse(e, path, (int)n, error_strerror((int)n));
		if (!bytes->len)
			err = check_header(bytes->data, (size_t)n, path, e);
		if (err)
			return err;
		bytes->len += (size_t)n;
		if ((size_t)n < piece)
			return 0;
		if (bytes->len > file_max_bytes)
			return error_set(e, -EFBIG, EXIT_FILE,
					 "cannot read snapshot '%s': larger than %s", path,
					 format_bytes(file_max_bytes).text);
		piece = PIECE_BYTES;
	}
}

int seepfile_read(const char *path, struct snapshot *s, struct seepfile_damage *damage,
		  struct error *e)
{
	struct buffer bytes = {0};
	int fd = open_source(path, e);
	int err;

	if (fd < 0)
		return fd;
	err = read_source(fd, path, &bytes, e);
	close(fd);
	if (!err)
		err = seepfile_read_bytes(bytes.data, bytes.len, path, s, damage, e);
	buffer_release(&bytes);
	return err;
}
