/* See blob_image.h. */
#include "blob_image.h"

#include <sys/uio.h>

#include "bytes.h"
#include "rec.h"
#include "sys.h"

#define PHDRS_MAX 32

bool blob_read(uint64_t addr, void *to, size_t n)
{
	struct iovec local = {to, n}, remote = {(void *)addr, n};

	if (rec_blob.no_peek)
		return false;
	return arch_syscall6(SYS_process_vm_readv, sys0(SYS_getpid), (long)&local, 1, (long)&remote,
			     1, 0) == (long)n;
}

bool blob_image_read(uint64_t at, struct blob_image *ret)
{
	Elf64_Ehdr e;

	if (!blob_read(at, &e, sizeof(e)) || !bytes_equal(e.e_ident, ELFMAG, SELFMAG) ||
	    e.e_ident[EI_CLASS] != ELFCLASS64 || e.e_phentsize != sizeof(Elf64_Phdr) ||
	    e.e_phnum > PHDRS_MAX)
		return false;
	*ret = (struct blob_image){.at = at, .phdrs = at + e.e_phoff, .nr = e.e_phnum};
	return true;
}

bool blob_image_phdr(const struct blob_image *image, uint32_t i, Elf64_Phdr *ret)
{
	return blob_read(image->phdrs + i * sizeof(*ret), ret, sizeof(*ret));
}
