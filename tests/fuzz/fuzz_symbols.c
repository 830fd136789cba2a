/* The symbol table of a program's file: never crashes, and every name ends. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "driver.h"
#include "inject/functions.h"
#include "inject/symbols.h"

static void look_at(void *arg, const struct symbol *s)
{
	size_t *nr = arg;

	FUZZ_MUST(strlen(s->name) >= 1 || inject_name_find(s->name) == NULL);
	FUZZ_MUST(s->addr != 0);
	(*nr)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const more[] = {"local", NULL};
	static int fd = -1;
	size_t nr = 0;

	if (fd < 0)
		fd = memfd_create("fuzz", MFD_CLOEXEC);
	FUZZ_MUST(fd >= 0 && ftruncate(fd, 0) == 0);
	FUZZ_MUST(pwrite(fd, data, size, 0) == (ssize_t)size);
	FUZZ_MUST(symbols_each(fd, more, look_at, &nr) <= 0);
	FUZZ_MUST(nr <= size / 24); /* no more than there is room for */
	return 0;
}
