/*
 * A program as Go's linker makes them of nothing but Go: marked as such, without a C library, and,
 * as a position-independent one, with a loader that has no library to load. Says "ready", waits for
 * input, and ends with status 7.
 */
#define CALL_READ 0
#define CALL_WRITE 1
#define CALL_EXIT 60

__attribute__((force_align_arg_pointer)) void _start(void);

__asm__(".section .note.go.buildid, \"a\", @note\n"
	".long 4, 4, 4\n"
	".asciz \"Go\\0\"\n"
	".asciz \"one\"\n"
	".text\n");

static long call(long nr, long a, void *b, long c)
{
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return r;
}

void _start(void)
{
	char c[6] = "ready\n";

	call(CALL_WRITE, 1, c, sizeof(c));
	call(CALL_READ, 0, c, 1);
	call(CALL_EXIT, 7, 0, 0);
}
