/*
 * ELF images as the loader has mapped them: program headers, dynamic symbols, build-id. Reads only
 * memory of loaded objects; no libc, no locks.
 */
#ifndef SEEP_REC_ELF_IMAGE_H
#define SEEP_REC_ELF_IMAGE_H

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf_found.h"

struct elf_image {
	struct link_map *link_map;
	const Elf64_Phdr *phdr;
	size_t phdr_nr;
	uint64_t bias, start, end; /* mapped range [start, end) */
	uint64_t eh_frame_hdr;	   /* 0: none */
};

extern int elf_glibc_find_object(void *pc, struct elf_found *result) __asm__("_dl_find_object")
	__attribute__((weak));

/* First entry of the loader's list, in symbol search order; NULL: not found. */
struct link_map *elf_link_maps(void);
bool elf_image_of(struct link_map *lm, struct elf_image *ret);
bool elf_image_at(uint64_t addr, struct elf_image *ret);
/* Bytes of the build-id copied, 0: none. */
uint8_t elf_image_build_id(const struct elf_image *image, uint8_t *out, size_t cap);
/* Address of a defined dynamic symbol's default version, 0: not defined here. Resolves IFUNCs. */
uint64_t elf_symbol(struct link_map *lm, const char *name);
/* The environment that the program was started with, NULL: not found. */
char **elf_environment(void);
/* The same, from whoever was told; for programs without a C library (Go's), which has it. */
extern char **elf_given_environment;
/* An address in the last page of the main thread's stack, 0: not known. */
uint64_t elf_stack_top(void);

#endif
