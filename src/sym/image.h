/*
 * One ELF file as it lies on disk: who it is (build-id), where its debug information should be, and
 * raw sections. Nothing in the file is trusted. Addresses are those of the program headers.
 */
#ifndef SEEP_SYM_IMAGE_H
#define SEEP_SYM_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMAGE_BUILD_ID_MAX 64

struct image;

struct image_section {
	const uint8_t *data; /* NULL: no contents in the file */
	size_t size;	     /* bytes of contents */
	uint64_t addr, addr_size, entry_size;
	bool executable;
};

/* A reference to another file, as in .gnu_debuglink or .gnu_debugaltlink. */
struct image_link {
	char *name;			      /* NULL: there is none */
	uint32_t crc;			      /* of the whole file; debuglink only */
	uint8_t build_id[IMAGE_BUILD_ID_MAX]; /* debugaltlink only */
	size_t build_id_len;
};

/* What of the address space the loadable segments take; all 0 when there are none. */
struct image_span {
	uint64_t start, end_of_file_bytes, end;
};

/* fd stays the caller's and must outlive the image. NULL: not an ELF file. */
struct image *image_open(int fd);
void image_close(struct image *img);

/* Length in bytes, 0: has none. *ret lives as long as the image. */
size_t image_build_id(const struct image *img, const uint8_t **ret);
bool image_has_build_id(const struct image *img, const uint8_t *id, size_t len);
const struct image_span *image_span(const struct image *img);
unsigned int image_machine(const struct image *img); /* EM_… */
bool image_has_symtab(const struct image *img);
bool image_has_dwarf(const struct image *img);
/* False: no such section. Contents live as long as the image. */
bool image_section(const struct image *img, const char *name, struct image_section *ret);
/* The caller frees ret->name. */
void image_debuglink(const struct image *img, struct image_link *ret);
void image_debugaltlink(const struct image *img, struct image_link *ret);

/* Is addr in an executable segment? */
bool image_is_code(const struct image *img, uint64_t addr);
/* The executable section that holds addr: true, and its range. */
bool image_code_section(const struct image *img, uint64_t addr, uint64_t *ret_lo, uint64_t *ret_hi);
/*
 * Calls fn for every relocation of a table (".rela.plt") that names a dynamic symbol: index in the
 * table, address that the loader fills in, name (never "").
 */
void image_each_relocation(const struct image *img, const char *section,
			   void (*fn)(void *arg, size_t index, uint64_t slot, const char *name),
			   void *arg);

#endif
