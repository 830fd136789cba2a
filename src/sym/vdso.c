/* The vdso's size is not told, but its section headers come last. */
#include "sym/vdso.h"

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"

enum {
	VDSO_MAX = 1 << 20,
};

int vdso_open(void)
{
	const ElfW(Ehdr) *ehdr = (const void *)(uintptr_t)getauxval(AT_SYSINFO_EHDR);
	size_t size;
	int fd;

	if (!ehdr)
		return -1;
	size = ehdr->e_shoff + (size_t)ehdr->e_shnum * ehdr->e_shentsize;
	if (size == 0 || size > VDSO_MAX)
		return -1;
	fd = memfd_create("vdso", MFD_CLOEXEC);
	if (fd >= 0 && io_write_all(fd, ehdr, size)) {
		close(fd);
		fd = -1;
	}
	return fd;
}
