/*
 * An ELF core file as its headers describe it: segments and where notes lie. Nothing of it is
 * believed: offsets are held against the file's size, and what lies beyond is counted as cut.
 *
 *   file   ┌──────┬─────────────────┬───────┬────────────┬─────┬ ─ ─ ─ ─ ┐
 *          │ Ehdr │ program headers │ notes │ segment    │ …   │   cut
 *          └──────┴─────────────────┴───────┴────────────┴─────┴ ─ ─ ─ ─ ┘
 *   memory            start ┌───────────────┬──────────────────┐ end
 *                           │ file_bytes    │ not in the core  │
 *                           └───────────────┴──────────────────┘
 */
#ifndef SEEP_TARGET_CORE_ELF_H
#define SEEP_TARGET_CORE_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

struct core_segment {
	uint64_t start, end; /* addresses [start, end) */
	uint64_t offset;     /* in the core file */
	uint64_t file_bytes; /* of them really there; the others are not in the core */
	uint64_t cut_bytes;  /* that should follow file_bytes but lie beyond the file's end */
	uint8_t prot;	     /* enum map_prot */
};

struct core_notes_at {
	uint64_t offset, bytes; /* inside the file */
};

struct core_elf {
	int fd;
	uint64_t bytes;	  /* size of the file when it was opened */
	int64_t mtime;	  /* seconds; when it was written, as far as the file system knows */
	bool wide;	  /* ELF64 */
	uint16_t machine; /* EM_X86_64, EM_386 or EM_AARCH64 */
	struct core_segment *segments; /* ascending, without overlap */
	size_t nr_segments, cap_segments;
	struct core_notes_at *notes;
	size_t nr_notes, cap_notes;
	uint64_t bad_segments; /* overlap or wrap around, left out */
	uint64_t cut_headers;  /* program headers beyond the end of the file */
	uint64_t cut_bytes;    /* of segments and notes beyond the end of the file */
};

/*
 * 0, or negative errno with a sentence (EXIT_FILE) that says what the file is instead of a core
 * that can be read. *ret is to be closed only on success.
 */
int core_elf_open(const char *path, struct core_elf *ret, struct error *e);
void core_elf_close(struct core_elf *c);
/* Reads bytes of the file; fewer than len at its end, or where reading fails. */
size_t core_elf_read(const struct core_elf *c, uint64_t offset, void *buffer, size_t len);
/* Do these first bytes of a file belong to an ELF core, of whatever machine? */
bool core_elf_magic(const void *head, size_t len);

#endif
