/* ELF images that may be unmapped while they are looked at: all is read by way of the kernel. */
#ifndef SEEP_REC_BLOB_IMAGE_H
#define SEEP_REC_BLOB_IMAGE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies from our own memory; false where it is not mapped. */
bool blob_read(uint64_t addr, void *to, size_t n);

struct blob_image {
	uint64_t at, phdrs;
	uint32_t nr; /* program headers */
};

/* The image whose header is at `at`; false: there is none. */
bool blob_image_read(uint64_t at, struct blob_image *ret);
/* One by one: the stack that we are on may be a small one. */
bool blob_image_phdr(const struct blob_image *image, uint32_t i, Elf64_Phdr *ret);

#endif
