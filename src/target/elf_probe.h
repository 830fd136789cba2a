/*
 * What kind of program a file is, from its first bytes and its program headers.
 *
 * Decides whether a library can be preloaded into it. The file is hostile input: every length and
 * offset is checked against the file's size, and little is read of however large a file.
 */
#ifndef SEEP_TARGET_ELF_PROBE_H
#define SEEP_TARGET_ELF_PROBE_H

#include <stdbool.h>

enum elf_kind {
	ELF_KIND_DYNAMIC, /* runs here and names a dynamic loader: interpreter */
	ELF_KIND_STATIC,  /* runs here without any loader */
	ELF_KIND_LIBRARY, /* shared object that names no loader (a dynamic loader itself is one) */
	ELF_KIND_FOREIGN, /* ELF of another machine or word size: machine */
	ELF_KIND_SCRIPT,  /* begins with #!: interpreter */
	ELF_KIND_TEXT,	  /* neither, but text: execvp() gives it to the shell */
	ELF_KIND_EMPTY,
	ELF_KIND_CUT,	     /* ELF whose headers or segments reach beyond the end of the file */
	ELF_KIND_NO_PROGRAM, /* anything else: object file, core, data */
};

#define ELF_INTERPRETER_MAX 4096

struct elf_probe {
	enum elf_kind kind;
	char machine[32];   /* FOREIGN: "32-bit x86", "64-bit ARM" … */
	bool needs_asan;    /* DYNAMIC: wants AddressSanitizer's library to be the very first */
	bool needs_nothing; /* DYNAMIC: no library at all, the C library neither */
	char interpreter[ELF_INTERPRETER_MAX];
};

/* Reads with pread(); fd is a regular file. 0 or negative errno of reading. */
int elf_probe(int fd, struct elf_probe *ret);

#endif
