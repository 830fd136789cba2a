/*
 * What the notes of a core tell: threads with their registers, who the process was, its auxiliary
 * vector, and which files were mapped where. Layouts: struct elf_prstatus and elf_prpsinfo of
 * Linux's include/linux/elfcore.h and its compat twin; NT_FILE of fs/binfmt_elf.c.
 */
#ifndef SEEP_TARGET_CORE_NOTES_H
#define SEEP_TARGET_CORE_NOTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A note that cores have which were written from a process that went on, beside those of the
 * kernel: name and type; no description.
 */
#define CORE_NOTE_SEEP "SEEP"
#define CORE_NOTE_NOT_ONE_INSTANT 1

struct core_elf;
struct target;

/* One mapping of a file. */
struct core_mapped {
	uint64_t start, end;
	uint64_t offset;  /* in the file, bytes */
	const char *path; /* without " (deleted)"; belongs to struct core_notes */
	bool deleted;
};

struct core_notes {
	struct core_mapped *mapped; /* ascending, without overlap */
	size_t nr_mapped, cap_mapped;
	char *paths;
	/* From the auxiliary vector; 0: not told. */
	uint64_t program_headers; /* address of the program's headers */
	uint64_t vdso;		  /* start of it */
	uint64_t stack;		  /* an address in the main thread's stack */
	int signal;		  /* that ended it; 0 none */
	bool not_one_instant;	  /* see above */
	uint64_t bad_notes;	  /* not of the known form, left out */
};

/*
 * Reads all notes; adds threads to t and fills pid, comm and command of t->process. Never fails:
 * what is not understood is counted. t->word_bytes and t->machine must be set.
 */
void core_notes_read(const struct core_elf *c, struct target *t, struct core_notes *ret);
void core_notes_release(struct core_notes *n);

#endif
