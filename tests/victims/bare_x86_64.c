/*
 * A static program without a C library, so without a thread pointer, and with a malloc of its own.
 * Says "ready", allocates for a second, and ends.
 */
#define CALL_WRITE 1
#define CALL_NANOSLEEP 35
#define CALL_EXIT 60

typedef unsigned long size_t;

static char pool[4096];
static size_t used;

__attribute__((noinline)) void *malloc(size_t bytes);
void *calloc(size_t nr, size_t bytes);
void *realloc(void *p, size_t bytes);
__attribute__((noinline)) void free(void *p);
__attribute__((force_align_arg_pointer)) void _start(void);

static long call(long nr, long a, const void *b, long c)
{
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return r;
}

/* As any C library has it: who attaches looks for it. */
__asm__(".globl restore\nrestore: mov $15, %rax\nsyscall\nring: syscall\nret\n");

void *malloc(size_t bytes)
{
	char *p = &pool[used % (sizeof(pool) / 2)];

	for (size_t i = 0; i < bytes; i++)
		((volatile char *)p)[i] = (char)i;
	used += bytes;
	return p;
}

void *calloc(size_t nr, size_t bytes)
{
	return malloc(nr * bytes);
}

void *realloc(void *p, size_t bytes)
{
	(void)p;
	return malloc(bytes);
}

void free(void *p)
{
	for (int i = 0; i < 8; i++)
		((volatile char *)p)[i] = 0;
}

void _start(void)
{
	const long nap[2] = {0, 10000000};

	call(CALL_WRITE, 1, "ready\n", 6);
	for (int i = 0; i < 100; i++) {
		free(malloc(10));
		call(CALL_NANOSLEEP, (long)nap, 0, 0);
	}
	call(CALL_EXIT, 0, 0, 0);
}
