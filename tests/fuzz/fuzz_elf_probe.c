/* The first look at a program file: never crashes, and what it answers is complete. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "driver.h"
#include "target/elf_probe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct elf_probe p;

	if (fd < 0)
		fd = memfd_create("fuzz", MFD_CLOEXEC);
	FUZZ_MUST(fd >= 0 && ftruncate(fd, 0) == 0);
	FUZZ_MUST(pwrite(fd, data, size, 0) == (ssize_t)size);
	memset(&p, 0x5a, sizeof(p));
	FUZZ_MUST(elf_probe(fd, &p) == 0);
	FUZZ_MUST(p.kind >= ELF_KIND_DYNAMIC && p.kind <= ELF_KIND_NO_PROGRAM);
	FUZZ_MUST((p.kind == ELF_KIND_EMPTY) == (size == 0));
	FUZZ_MUST(memchr(p.interpreter, 0, sizeof(p.interpreter)));
	FUZZ_MUST(memchr(p.machine, 0, sizeof(p.machine)));
	FUZZ_MUST(p.kind != ELF_KIND_FOREIGN || p.machine[0]);
	FUZZ_MUST((p.kind != ELF_KIND_DYNAMIC && p.kind != ELF_KIND_SCRIPT) || p.interpreter[0]);
	return 0;
}
