/*
 * Moving the first instructions of functions: each victim is run as it is, then patched and run
 * again, and must have done the same; then the allocator of this very process is patched and used.
 */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "inject/functions.h"
#include "inject/moved.h"

#include "moved_check.h"

#define ROOM_BYTES 65536

/*
 * Victims: long f(long a, long b). Each lies in a page of its own section, and says how long it is.
 */
#define VICTIM(name, body)                                                                         \
	__asm__(".pushsection .text.victims, \"ax\", @progbits\n"                                  \
		".p2align 4\n.globl victim_" #name "\n.type victim_" #name ", @function\n"         \
		"victim_" #name ":\n" body "\n"                                                    \
		".globl victim_" #name "_end\nvictim_" #name "_end:\n"                             \
		".byte 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc\n.popsection\n");            \
	extern long victim_##name(long, long);                                                     \
	extern const uint8_t victim_##name##_end[];

static volatile long word __attribute__((used)) = 4711;
static volatile uint8_t flag __attribute__((used)) = 1;
static long helper_calls;
static void *helper_returned_to;

__attribute__((used, noinline)) static long helper(long a, long b)
{
	helper_calls++;
	helper_returned_to = __builtin_return_address(0);
	return a * 3 - b;
}

static long (*volatile helper_pointer)(long, long) __attribute__((used)) = helper;

/* clang-format off */
VICTIM(rip_load, "mov word(%rip), %rax\n add %rdi, %rax\n sub %rsi, %rax\n ret")
VICTIM(rip_lea, "lea word(%rip), %rax\n mov (%rax), %rax\n xor %rdi, %rax\n ret")
VICTIM(rip_compare, "cmpb $1, flag(%rip)\n jne 1f\n lea 1(%rdi,%rsi), %rax\n "
	"ret\n1: xor %eax, %eax\n ret")
VICTIM(rip_immediate, "movl $77, %eax\n cmpl $4711, word(%rip)\n jne 1f\n "
	"add %rdi, %rax\n1: ret")
VICTIM(rip_first_immediate, "cmpl $4711, word(%rip)\n sete %al\n movzbl %al, %eax\n "
	"add %rdi, %rax\n ret")
VICTIM(rip_store, "mov %rdi, word(%rip)\n mov word(%rip), %rax\n movq $4711, word(%rip)\n ret")
VICTIM(rip_vector, "movq word(%rip), %xmm0\n movq %xmm0, %rax\n add %rsi, %rax\n ret")
VICTIM(rip_vex, "nop\n mov word(%rip), %rax\n ret")
VICTIM(jcc_short, "test %rdi, %rdi\n je 1f\n lea (%rdi,%rsi,2), %rax\n "
	"ret\n1: mov $-5, %rax\n ret")
VICTIM(jcc_each, "cmp %rsi, %rdi\n jl 1f\n mov $1, %eax\n ret\n1: mov $2, %eax\n ret")
VICTIM(jcc_two, "test %edi, %edi\n js 1f\n je 2f\n mov %rsi, %rax\n "
	"ret\n1: mov $7, %eax\n ret\n"
	"2: mov $8, %eax\n ret")
VICTIM(jcc_long, "cmp $5, %rdi\n {disp32} ja 1f\n mov %rsi, %rax\n "
	"ret\n1: lea 100(%rsi), %rax\n ret")
VICTIM(jump, "jmp helper")
VICTIM(jump_over, "endbr64\n jmp 1f\n ud2\n1: lea -9(%rdi), %rax\n ret")
VICTIM(jump_short, "nop\n mov %edi, %eax\n jmp 1f\n ud2\n1: add $3, %rax\n ret")
VICTIM(jump_pointer, "jmp *helper_pointer(%rip)")
VICTIM(jump_register, "mov helper_pointer(%rip), %rax\n jmp *%rax")
VICTIM(call, "call 1f\n add $16, %rsp\n lea 5(%rax), %rax\n ret\n"
	"1: sub $8, %rsp\n mov %rdi, %rax\n jmp *8(%rsp)")
VICTIM(call_helper, "push %rbx\n call helper\n pop %rbx\n inc %rax\n ret")
VICTIM(call_register, "push %r12\n lea helper(%rip), %rax\n call *%rax\n pop %r12\n ret")
VICTIM(call_register_first, "nop\n mov %r8, %r8\n call *%r9\n ret")
VICTIM(call_pointer, "sub $8, %rsp\n call *helper_pointer(%rip)\n add $8, %rsp\n "
	"neg %rax\n ret")
VICTIM(call_return, "push %rbx\n call 1f\n1: pop %rax\n lea 1b(%rip), %rcx\n "
	"sub %rcx, %rax\n pop %rbx\n ret")
VICTIM(pushes, "push %rbp\n mov %rsp, %rbp\n push %r15\n push %r14\n "
	"lea (%rdi,%rsi), %rax\n pop %r14\n"
	"pop %r15\n pop %rbp\n ret")
VICTIM(push_immediate, "push $0x1234\n pop %rax\n add %rdi, %rax\n ret")
VICTIM(endbr, "endbr64\n push %rbx\n mov %rdi, %rbx\n lea (%rbx,%rsi), %rax\n pop %rbx\n ret")
VICTIM(tls, "mov %fs:0, %rax\n sub %fs:0, %rax\n add %rdi, %rax\n ret")
VICTIM(long_one, "movabs $0x123456789abcdef0, %rax\n add %rdi, %rax\n ret")
VICTIM(short_ones, "nop\n nop\n nop\n nop\n nop\n mov %rsi, %rax\n ret")
VICTIM(stack_argument, "mov (%rsp), %rax\n mov %rdi, %rax\n ret")
VICTIM(loop_later, "xor %eax, %eax\n lea 3(%rdi), %rcx\n and $15, %ecx\n "
	"inc %ecx\n1: add %rsi, %rax\n"
	"dec %ecx\n jne 1b\n ret")
VICTIM(jrcxz, "mov %rdi, %rcx\n jrcxz 1f\n mov $1, %eax\n ret\n1: mov $2, %eax\n ret")
VICTIM(loop_forwards, "mov %edi, %ecx\n nop\n loop 1f\n mov $1, %eax\n "
	"ret\n1: mov $2, %eax\n ret")
VICTIM(five_and_ret, "lea 1(%rdi), %rax\n ret")
VICTIM(itself, "test %edi, %edi\n jle 1f\n sub $3, %edi\n "
	"jmp victim_itself\n1: mov %rdi, %rax\n ret")
VICTIM(tls_call, "push %rbx\n .byte 0x66, 0x48\n call helper\n pop %rbx\n ret")

VICTIM(too_short, "xor %eax, %eax\n ret")
VICTIM(lone_ret, "ret")
VICTIM(short_jump, "jmp 1f\n .byte 0x90, 0x90, 0x90, 0x90\n1: mov %rdi, %rax\n ret")
VICTIM(loop_into, "mov %rdi, %rax\n1: dec %rdi\n js 2f\n add %rsi, %rax\n jmp 1b\n2: ret")
VICTIM(loop_far, "xor %eax, %eax\n1: inc %eax\n add %esi, %edi\n .skip 300, 0x90\n "
	"cmp $5, %eax\n"
	"jne 1b\n ret")
VICTIM(loop_entry, "1: dec %rdi\n jns 1b\n mov %rdi, %rax\n ret")
VICTIM(breakpoint, "int3\n mov %rdi, %rax\n add %rsi, %rax\n ret")
VICTIM(breakpoint_later, "push %rbx\n int3\n mov %rdi, %rax\n pop %rbx\n ret")
VICTIM(system_call, "mov %edi, %eax\n syscall\n mov %rdi, %rax\n ret")
VICTIM(call_early, "call *%rax\n mov %rdi, %rax\n mov %rsi, %rax\n ret")
VICTIM(call_stack, "nop\n call *16(%rsp)\n ret")
VICTIM(no_code, ".byte 0x06, 0x06, 0x06, 0x06, 0x06, 0x06")
VICTIM(cut_branch, ".byte 0x66, 0xe9, 0, 0, 0, 0\n ret")
VICTIM(transaction, "xbegin 1f\n xor %eax, %eax\n1: ret")
VICTIM(privileged, "hlt\n mov %rdi, %rax\n mov %rsi, %rax\n ret")
/* clang-format on */

#define V(name)                                                                                    \
	{                                                                                          \
#name, victim_##name, victim_##name##_end                                          \
	}

static const struct victim {
	const char *name;
	long (*f)(long, long);
	const uint8_t *end;
} movable[] = {
	V(rip_load),	   V(rip_lea),	   V(rip_compare), V(rip_immediate),
	V(rip_store),	   V(rip_vector),  V(rip_vex),	   V(rip_first_immediate),
	V(jcc_short),	   V(jcc_each),	   V(jcc_two),	   V(jcc_long),
	V(jump),	   V(jump_over),   V(jump_short),  V(jump_pointer),
	V(jump_register),  V(call),	   V(call_helper), V(call_register),
	V(call_pointer),   V(call_return), V(pushes),	   V(push_immediate),
	V(endbr),	   V(tls),	   V(long_one),	   V(short_ones),
	V(stack_argument), V(loop_later),  V(jrcxz),	   V(loop_forwards),
	V(five_and_ret),   V(itself),	   V(tls_call),	   V(call_register_first),
};

static const struct {
	struct victim v;
	const char *why;
} not_movable[] = {
	{V(too_short), "it is too short"},
	{V(lone_ret), "it is too short"},
	{V(short_jump), "it is too short"},
	{V(loop_into), "its own code jumps into its first bytes"},
	{V(loop_far), "its own code jumps into its first bytes"},
	{V(loop_entry), "its own code jumps into its first bytes"},
	{V(breakpoint), "a breakpoint or interrupt is among its first bytes"},
	{V(breakpoint_later), "a breakpoint or interrupt is among its first bytes"},
	{V(system_call), "a system call is among its first bytes"},
	{V(call_early), "a call is among its first bytes"},
	{V(call_stack), "its first instructions call through the stack"},
	{V(no_code), "its first bytes are no known instructions"},
	{V(cut_branch), "a 16-bit jump is among its first bytes"},
	{V(transaction), "a transaction begins in its first bytes"},
	{V(privileged), "an instruction of the system's is among its first bytes"},
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- memory for moved code near an address ---- */

struct room {
	uint8_t *at;
	size_t used;
};

static struct room room_near(const void *where)
{
	uintptr_t base = (uintptr_t)where & ~(uintptr_t)0xffff;

	for (uintptr_t away = 1 << 24; away < (uintptr_t)1 << 30; away += 1 << 20) {
		for (int below = 0; below < 2; below++) {
			void *p = mmap((void *)(below ? base - away : base + away), ROOM_BYTES,
				       PROT_READ | PROT_WRITE | PROT_EXEC,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

			if (p != MAP_FAILED)
				return (struct room){p, 0};
		}
	}
	fail_msg("no room");
	return (struct room){NULL, 0};
}

static void jump_to(uint8_t *from, const void *to)
{
	int32_t distance = (int32_t)((const uint8_t *)to - (from + 5));

	from[0] = 0xe9;
	memcpy(from + 1, &distance, sizeof(distance));
}

/*
 * Moves the function's first bytes, and puts a jump in their place, to code that counts and goes
 * on where they are now. Returns the counter.
 */
static volatile uint64_t *patch(struct room *room, void *function, const struct moved *m)
{
	static const uint8_t count[] = {0xf0, 0x48, 0xff, 0x05, 0xf0, 0xff, 0xff, 0xff};
	volatile uint64_t *counter = (void *)(room->at + room->used);
	uint8_t *hook = room->at + room->used + 8;
	uintptr_t page = (uintptr_t)function & ~(uintptr_t)4095;

	/* lock incq counter(%rip); jmp moved */
	memcpy(hook, count, sizeof(count));
	jump_to(hook + sizeof(count), room->at + room->used + 64);
	memcpy(room->at + room->used + 64, m->code, m->code_nr);
	assert_int_equal(mprotect((void *)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
	jump_to(function, hook);
	for (size_t i = 5; i < m->taken; i++)
		((uint8_t *)function)[i] = 0xcc; /* nobody may ever run these again */
	room->used += 128;
	return counter;
}

static int make(const void *function, size_t nr, const void *to, struct moved *m, const char **why)
{
	return moved_make(function, nr, (uint64_t)function, (uint64_t)to, 5, m, why);
}

__attribute__((noinline)) static long run(const struct victim *v, long a, long b)
{
	long (*call)(long, long) = v->f;
	long result;

	/* As any caller has it, and with a pointer where one victim wants it. */
	__asm__ volatile("mov %[helper], %%r9\n\tsub $128, %%rsp\n\tcall *%[f]\n\tadd $128, %%rsp"
			 : "=a"(result), "+D"(a), "+S"(b)
			 : [f] "r"(call), [helper] "r"(helper)
			 : "rcx", "rdx", "r8", "r9", "r10", "r11", "xmm0", "memory", "cc");
	return result;
}

static const long inputs[][2] = {{0, 0},  {1, 0},   {0, 1},	    {-1, 3},   {5, 5},
				 {6, -2}, {100, 7}, {1L << 40, 12}, {-77, -78}};

static void test_victims_do_the_same(void **state)
{
	struct room room = room_near((const void *)victim_rip_load);

	(void)state;
	for (size_t i = 0; i < COUNT(movable); i++) {
		const struct victim *v = &movable[i];
		size_t size = (size_t)(v->end - (const uint8_t *)v->f);
		long before[COUNT(inputs)];
		const char *why = "";
		void *returned_to;
		volatile uint64_t *counter;
		struct moved m;

		helper_calls = 0;
		for (size_t j = 0; j < COUNT(inputs); j++)
			before[j] = run(v, inputs[j][0], inputs[j][1]);
		returned_to = helper_returned_to;
		if (make((const void *)v->f, size, room.at + room.used + 64, &m, &why))
			fail_msg("%s: %s", v->name, why);
		check_steps(&m, 5);
		counter = patch(&room, (void *)v->f, &m);
		for (size_t j = 0; j < COUNT(inputs); j++) {
			long after = run(v, inputs[j][0], inputs[j][1]);

			if (after != before[j])
				fail_msg("%s(%ld, %ld) was %ld, is %ld", v->name, inputs[j][0],
					 inputs[j][1], before[j], after);
		}
		assert_true(*counter >= COUNT(inputs));
		assert_true(helper_calls % 2 == 0);
		/* A call that was moved comes back to where it was made. */
		assert_ptr_equal(helper_returned_to, returned_to);
	}
}

static void test_refused_with_a_reason(void **state)
{
	struct room room = room_near((const void *)victim_rip_load);

	(void)state;
	for (size_t i = 0; i < COUNT(not_movable); i++) {
		const struct victim *v = &not_movable[i].v;
		const char *why = "moved";
		struct moved m;

		make((const void *)v->f, (size_t)(v->end - (const uint8_t *)v->f), room.at, &m,
		     &why);
		if (strcmp(why, not_movable[i].why) != 0)
			fail_msg("%s: %s, expected: %s", v->name, why, not_movable[i].why);
	}
}

static void test_distance(void **state)
{
	static const uint8_t load[] = {0x48, 0x8b, 0x05, 0x00, 0x00, 0x00, 0x10, 0xc3};
	static const uint8_t plain[] = {0x48, 0x89, 0xf8, 0x48, 0x01, 0xf0, 0xc3};
	uint64_t at = 0x500000000000;
	const char *why;
	struct moved m;

	(void)state;
	assert_int_equal(moved_make(plain, sizeof(plain), at, at + 0x7fff0000, 5, &m, &why), 0);
	assert_int_equal(moved_make(plain, sizeof(plain), at, at - 0x7fff0000, 5, &m, &why), 0);
	assert_int_equal(moved_make(plain, sizeof(plain), at, at + 0x80010000, 5, &m, &why),
			 -ERANGE);
	assert_int_equal(moved_make(load, sizeof(load), at, at + 0x7fff0000, 5, &m, &why), 0);
	/* What is loaded lies 256 MiB above: too far from below. */
	assert_int_equal(moved_make(load, sizeof(load), at, at - 0x7fff0000, 5, &m, &why), -ERANGE);
	assert_string_equal(why, "what it refers to is too far away");
}

/* However short the bytes and whatever they are: a result or a reason, and no more is read. */
static void test_any_bytes(void **state)
{
	uint32_t random = 1;

	(void)state;
	for (int round = 0; round < 200000; round++) {
		size_t nr = random % 40;
		uint8_t *bytes = malloc(nr + 1);
		const char *why = NULL;
		struct moved m;
		int r;

		for (size_t i = 0; i < nr; i++) {
			random = random * 1664525 + 1013904223;
			bytes[i] = (uint8_t)(random >> 24);
		}
		random = random * 1664525 + 1013904223;
		r = moved_make(bytes, nr, 0x400000, 0x500000, 5 + random % 8, &m, &why);
		assert_true(r == 0 || why);
		if (r == 0)
			check_steps(&m, 5 + random % 8);
		free(bytes);
	}
	for (size_t nr = 0; nr < 5; nr++) {
		static const uint8_t nops[] = {0x90, 0x90, 0x90, 0x90, 0x90};
		const char *why;
		struct moved m;

		assert_int_equal(moved_make(nops, nr, 0x400000, 0x500000, 5, &m, &why), -ENOTSUP);
		assert_string_equal(why, "it is too short");
	}
}

/* ---- the allocator of this process, moved and used ---- */

struct patched {
	const char *name;
	volatile uint64_t *counter;
};

static size_t patch_allocator(struct patched *done, size_t cap)
{
	static const char *const names[] = {
		"malloc",	 "calloc",	   "realloc",	  "reallocarray", "memalign",
		"aligned_alloc", "posix_memalign", "valloc",	  "pvalloc",	  "free",
		"cfree",	 "dlclose",	   "iconv_close", "mallocx",	  "dallocx",
		"sdallocx",	 "rallocx",	   "_Znwm",	  "_ZdlPv",	  "mi_malloc",
		"mi_free",	 "tc_malloc",	   "tc_free",
	};
	void *functions[COUNT(names)];
	struct moved moved[COUNT(names)];
	struct room room;
	size_t nr = 0;

	room = room_near(dlsym(RTLD_DEFAULT, "malloc"));
	for (size_t i = 0; i < COUNT(names); i++) {
		const Elf64_Sym *symbol = NULL;
		const char *why;
		Dl_info info;

		functions[i] = dlsym(RTLD_DEFAULT, names[i]);
		for (size_t j = 0; j < i && functions[i]; j++) {
			if (functions[j] == functions[i])
				functions[i] = NULL;
		}
		if (!functions[i])
			continue;
		assert_true(dladdr1(functions[i], &info, (void **)&symbol, RTLD_DL_SYMENT));
		/* libc's own lie elsewhere than a preloaded allocator's: each has its room. */
		if (make(functions[i], symbol->st_size, room.at + i * 128 + 64, &moved[i], &why)) {
			fprintf(stderr, "%s: %s\n", names[i], why);
			_exit(2);
		}
	}
	for (size_t i = 0; i < COUNT(names) && nr < cap; i++) {
		if (!functions[i])
			continue;
		room.used = i * 128;
		done[nr].name = names[i];
		done[nr++].counter = patch(&room, functions[i], &moved[i]);
	}
	return nr;
}

static uint64_t calls_of(const struct patched *done, size_t nr, const char *name)
{
	for (size_t i = 0; i < nr; i++) {
		if (!strcmp(done[i].name, name))
			return *done[i].counter;
	}
	return 0;
}

/* In a process of its own: allocates in all ways, and keeps account of what the blocks hold. */
static int use_allocator(void)
{
	static struct patched done[32];
	static uint8_t *blocks[1000];
	static size_t sizes[1000];
	size_t nr = patch_allocator(done, COUNT(done));
	uint64_t mallocs = calls_of(done, nr, "malloc"), frees = calls_of(done, nr, "free");
	uint32_t random = 7;

	for (int round = 0; round < 200000; round++) {
		size_t i, size;
		void *p = NULL;

		random = random * 1664525 + 1013904223;
		i = random >> 8 & 0x3ff;
		if (i >= COUNT(blocks))
			continue;
		for (size_t j = 0; j < sizes[i]; j += 97) {
			if (blocks[i][j] != (uint8_t)(i + j))
				return 3;
		}
		size = (random >> 20) % (round % 100 ? 600 : 300000);
		switch (random >> 18 & 7) {
		case 0:
		case 1:
			p = malloc(size);
			break;
		case 2:
			p = calloc(size / 8 + 1, 8);
			break;
		case 3:
			p = memalign(64, size);
			break;
		case 4:
			if (posix_memalign(&p, 32, size))
				return 4;
			break;
		case 5:
			p = aligned_alloc(16, (size + 15) & ~(size_t)15);
			break;
		case 6:
			p = realloc(blocks[i], size + 1);
			if (!p)
				return 5;
			blocks[i] = NULL;
			break;
		}
		free(blocks[i]);
		blocks[i] = p;
		sizes[i] = p ? size : 0;
		for (size_t j = 0; j < sizes[i]; j++)
			blocks[i][j] = (uint8_t)(i + j);
	}
	if (calls_of(done, nr, "malloc") < mallocs + 40000 ||
	    calls_of(done, nr, "free") < frees + 100000)
		return 6;
	printf("%zu entries moved, malloc called %llu times\n", nr,
	       (unsigned long long)calls_of(done, nr, "malloc"));
	fflush(stdout);
	return 0;
}

static int run_with(const char *preload)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		char self[] = "/proc/self/exe";

		if (preload)
			setenv("LD_PRELOAD", preload, 1);
		setenv("SEEP_TEST_MOVED", "1", 1);
		dup2(2, 1);
		execl(self, self, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void test_this_allocator_goes_on(void **state)
{
	static const char *const others[] = {
		"/usr/lib/x86_64-linux-gnu/libjemalloc.so.2",
		"/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4",
		"/usr/lib/x86_64-linux-gnu/libmimalloc.so.2.0",
	};

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	skip(); /* this process's allocator is the sanitizer's */
#endif
	assert_int_equal(run_with(NULL), 0);
	for (size_t i = 0; i < COUNT(others); i++) {
		if (access(others[i], R_OK) < 0)
			continue;
		print_message("%s\n", others[i]);
		assert_int_equal(run_with(others[i]), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_victims_do_the_same),
		cmocka_unit_test(test_refused_with_a_reason),
		cmocka_unit_test(test_distance),
		cmocka_unit_test(test_any_bytes),
		cmocka_unit_test(test_this_allocator_goes_on),
	};

	if (getenv("SEEP_TEST_MOVED"))
		return use_allocator();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
