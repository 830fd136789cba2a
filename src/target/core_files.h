/*
 * Files that were mapped when a core was written: found again, and used only when they are still
 * the same. Most of a program's code is in no core; this is where it is read from.
 *
 * A file is the same when its build-id, or else its whole first page, equals the first page that
 * the core holds of it. Where the core holds none, a file under its old name that was not changed
 * since the core was written is used, and counted as unverified.
 */
#ifndef SEEP_TARGET_CORE_FILES_H
#define SEEP_TARGET_CORE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the core knows of a file. */
struct core_file_hint {
	const char *path;
	bool deleted; /* had no name any more */
	/* Its first bytes as the core holds them; 0 bytes: it does not. */
	const uint8_t *head;
	size_t head_bytes;
	int64_t core_time; /* when the core was written, seconds */
};

enum core_file_state {
	CORE_FILE_SAME,
	CORE_FILE_UNVERIFIED,
	CORE_FILE_OTHER,   /* there, but another build */
	CORE_FILE_MISSING, /* not found, or cannot be read */
};

/* Part of a file that a program header loads. */
struct core_file_part {
	uint64_t start, end; /* offsets, rounded to whole pages, as it is mapped */
	uint64_t place;	     /* address of start, counted from where the file's first part lies */
	uint8_t prot;	     /* enum map_prot */
};

struct core_file {
	enum core_file_state state;
	char *path; /* where it was found; NULL unless same or unverified */
	/* What that was, so that it is noticed when it is replaced. */
	uint64_t device, inode, bytes;
	int64_t mtime_ns;
	struct core_file_part *parts; /* of an ELF file */
	size_t nr_parts, cap_parts;
};

/* folders: colon-separated, searched first; NULL none. */
void core_file_find(const struct core_file_hint *hint, const char *folders, struct core_file *ret);
void core_file_release(struct core_file *f);
/*
 * Of a mapping of len bytes from offset on that could not be written: how many bytes of it the file
 * still shows. Fewer than all where it ends in the file, or in a part that was written before it
 * was protected (relocations). place: where it lies, counted from where offset 0 is mapped;
 * CORE_FILE_NO_PLACE where that is not known.
 */
#define CORE_FILE_NO_PLACE UINT64_MAX
uint64_t core_file_shows(const struct core_file *f, uint64_t place, uint64_t offset, uint64_t len);
/* Protection of what is loaded from offset on; MAP_READ when that is not known. */
uint8_t core_file_prot(const struct core_file *f, uint64_t offset);

/* Files kept open: some of them, so that no core can use up all descriptors. */
#define CORE_FILES_OPEN 64
struct core_files_open {
	struct {
		const struct core_file *file;
		int fd;
	} slots[CORE_FILES_OPEN];
};

/*
 * Reads what core_file_shows(): zeros behind the end of the file, up to the end of its last page.
 * Returns how many bytes before the first that cannot be read any more. key: a number of the file,
 * chooses the slot.
 */
size_t core_file_read(struct core_files_open *o, const struct core_file *f, size_t key,
		      uint64_t offset, void *buffer, size_t len);
/* open: zeroed, or used before. */
void core_files_close(struct core_files_open *o);

#endif
