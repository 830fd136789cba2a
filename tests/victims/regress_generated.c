/*
 * Generated code calls malloc, which returns into it at the very address where it later returns
 * into a module; their frames differ. What was learnt about the one is wrong for the other.
 *
 * regress-generated MODULE; exit status 77: the module did not come back to its address
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "truth.h"

#define CODE_BYTES 16384
#define CALLS 5

struct module {
	void *handle;
	char *base, *return_address;
	void *(*allocate)(void);
};

static struct module load(const char *path)
{
	struct module m = {.handle = dlopen(path, RTLD_NOW)};
	Dl_info info;

	if (!m.handle) {
		fprintf(stderr, "victim: %s\n", dlerror());
		exit(1);
	}
	m.return_address = dlsym(m.handle, "frame_return");
	*(void **)&m.allocate = dlsym(m.handle, "frame_allocate");
	if (!dladdr(m.return_address, &info))
		exit(1);
	m.base = info.dli_fbase;
	return m;
}

/* A function whose call of malloc returns to this address; its frame is 72 bytes. */
static void *(*generate(char *return_address))(void)
{
	static const unsigned char before[] = {
		0x48, 0x83, 0xec, 0x48,			  /* sub $72, %rsp */
		0xbf, 0x20, 0,	  0,	0,		  /* mov $32, %edi */
		0x48, 0xb8, 0,	  0,	0, 0, 0, 0, 0, 0, /* movabs $malloc, %rax */
		0xff, 0xd0,				  /* call *%rax */
	};
	static const unsigned char after[] = {
		0x48, 0x83, 0xc4, 0x48, /* add $72, %rsp */
		0xc3,			/* ret */
	};
	void *(*to)(size_t) = malloc, *(*function)(void);
	char *start = return_address - sizeof(before);

	memcpy(start, before, sizeof(before));
	memcpy(start + 11, &to, sizeof(to));
	memcpy(return_address, after, sizeof(after));
	*(void **)&function = start;
	return function;
}

int main(int argc, char **argv)
{
	struct module was, now;
	void *code;

	if (argc < 2)
		return 2;
	was = load(argv[1]);
	dlclose(was.handle);
	code = mmap(was.base, CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (code != was.base) {
		fprintf(stderr, "victim: skipped: no memory to write code into\n");
		return SKIPPED;
	}
	for (int i = 0; i < CALLS; i++)
		free(generate(was.return_address)());
	munmap(code, CODE_BYTES);
	now = load(argv[1]);
	for (int i = 0; i < CALLS; i++)
		free(now.allocate());
	if (now.base == was.base)
		return 0;
	fprintf(stderr, "victim: skipped: the module did not come back to its address\n");
	return SKIPPED;
}
