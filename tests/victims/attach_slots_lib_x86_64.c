/*
 * An allocator in a library whose malloc and free begin with what cannot be made a jump:
 *
 *   HOW_SHORT    a jump of two bytes, and behind it the next function
 *   HOW_JUMPED   another tool's jump, made when the library is loaded
 *   HOW_TRAPPED  another tool's breakpoint, with a handler of its own
 *
 * Its other functions begin as functions do. kept() and dropped() call malloc and free within; with
 * TABLE, got() and put() do, by a table. With STRINGS it has strdup and strndup, too.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HIDDEN __attribute__((visibility("hidden"), used, noinline))
#define ROOM (UINT64_C(1) << 30)
#define CLASSES 32

#define FUNCTION(name, code)                                                                       \
	".globl " #name "\n.type " #name ", @function\n" #name ": " code "\n.size " #name          \
	", . - " #name "\n"

void *malloc(size_t bytes);
void free(void *p);
void *calloc(size_t nr, size_t bytes);
void *realloc(void *old, size_t bytes);
void *reallocarray(void *old, size_t nr, size_t bytes);
int posix_memalign(void **ret, size_t a, size_t bytes);
void *memalign(size_t a, size_t bytes);
void *aligned_alloc(size_t a, size_t bytes);
void *kept(size_t bytes);
void dropped(void *p);
void *got(size_t bytes);
void put(void *p);
void *own_malloc(size_t bytes);
void own_free(void *p);
void *tool_malloc(size_t bytes);
void tool_free(void *p);

#ifdef HOW_SHORT
__asm__(".text\n.p2align 4\n" FUNCTION(malloc, "jmp 1f")
		FUNCTION(free, "jmp 2f") "1: jmp own_malloc\n2: jmp own_free\n");
#elif defined(HOW_TRAPPED)
__asm__(".text\n.p2align 4\n" FUNCTION(malloc, "nop\njmp own_malloc")
		FUNCTION(free, "nop\njmp own_free"));
#else
__asm__(".text\n.p2align 4\n" FUNCTION(malloc, ".byte 0x0f, 0x1f, 0x44, 0, 0\njmp own_malloc")
		FUNCTION(free, ".byte 0x0f, 0x1f, 0x44, 0, 0\njmp own_free"));
#endif

/* In front of each block; a block of 2^n bytes is 16 times as many, this included. */
struct head {
	struct head *next;
	uint64_t shift;
};

static struct head *lists[CLASSES];
static char *room, *end;
static volatile int busy;

static void lock(void)
{
	while (__atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE))
		while (busy)
			__builtin_ia32_pause();
}

static void unlock(void)
{
	__atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
}

static struct head *carve(uint64_t shift)
{
	struct head *h = (struct head *)room;

	if (!room) {
		room = mmap(NULL, ROOM, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (room == MAP_FAILED)
			_exit(4);
		end = room + ROOM;
		h = (struct head *)room;
	}
	if ((UINT64_C(1) << shift) > (uint64_t)(end - room))
		return NULL;
	room += UINT64_C(1) << shift;
	h->shift = shift;
	return h;
}

HIDDEN void *own_malloc(size_t bytes)
{
	uint64_t shift = 6;
	struct head *h;

	while (shift < CLASSES && (UINT64_C(1) << shift) < bytes + sizeof(*h))
		shift++;
	if (shift == CLASSES)
		return NULL;
	lock();
	h = lists[shift];
	if (h)
		lists[shift] = h->next;
	else
		h = carve(shift);
	unlock();
	return h ? h + 1 : NULL;
}

/* What was aligned has a head of its own, which says how far the real one is away. */
static struct head *head_of(void *p)
{
	struct head *h = (struct head *)p - 1;

	return h->shift > CLASSES ? (struct head *)(void *)((char *)h - h->shift) : h;
}

HIDDEN void own_free(void *p)
{
	struct head *h;

	if (!p)
		return;
	h = head_of(p);
	lock();
	h->next = lists[h->shift];
	lists[h->shift] = h;
	unlock();
}

static size_t usable(void *p)
{
	struct head *h = head_of(p);

	return (size_t)((char *)h + (UINT64_C(1) << h->shift) - (char *)p);
}

void *calloc(size_t nr, size_t bytes)
{
	void *p = own_malloc(nr * bytes);

	return p ? memset(p, 0, nr * bytes) : NULL;
}

void *realloc(void *old, size_t bytes)
{
	void *p = own_malloc(bytes);

	if (p && old) {
		memcpy(p, old, usable(old) < bytes ? usable(old) : bytes);
		own_free(old);
	}
	return p;
}

void *reallocarray(void *old, size_t nr, size_t bytes)
{
	return realloc(old, nr * bytes);
}

static void *align(size_t align, size_t bytes)
{
	const size_t away = 3 * sizeof(struct head); /* more than any shift */
	char *p = own_malloc(bytes + align + away);
	struct head *h;
	size_t more;

	if (!p)
		return NULL;
	more = away + (align - ((uintptr_t)p + away) % align) % align;
	h = (struct head *)(void *)(p + more) - 1;
	h->shift = more;
	return h + 1;
}

int posix_memalign(void **ret, size_t a, size_t bytes)
{
	*ret = align(a, bytes);
	return *ret ? 0 : ENOMEM;
}

void *memalign(size_t a, size_t bytes)
{
	return align(a, bytes);
}

void *aligned_alloc(size_t a, size_t bytes)
{
	return align(a, bytes);
}

/* By a direct call: nobody outside can tell. */
__attribute__((noinline)) void *kept(size_t bytes)
{
	return own_malloc(bytes);
}

__attribute__((noinline)) void dropped(void *p)
{
	own_free(p);
}

/* By the addresses of this very library: the linker knows them but for where it is loaded. */
__asm__(".hidden malloc_here\n.set malloc_here, malloc\n.hidden free_here\n.set free_here, free\n");
extern char malloc_here[], free_here[];

#ifdef TABLE
static const volatile struct {
	char *get, *put;
} table = {malloc_here, free_here};

void *got(size_t bytes)
{
	return ((void *(*)(size_t))table.get)(bytes);
}

void put(void *p)
{
	((void (*)(void *))table.put)(p);
}
#endif

#ifdef STRINGS
/* As mimalloc has them: by none of the functions above. */
char *strndup(const char *s, size_t most)
{
	size_t bytes = strnlen(s, most);
	char *p = own_malloc(bytes + 1);

	if (!p)
		return NULL;
	p[bytes] = '\0';
	return memcpy(p, s, bytes);
}

char *strdup(const char *s)
{
	return strndup(s, SIZE_MAX);
}
#endif

#ifndef HOW_SHORT
static uint64_t tool_calls;

HIDDEN void *tool_malloc(size_t bytes)
{
	__atomic_add_fetch(&tool_calls, 1, __ATOMIC_RELAXED);
	return own_malloc(bytes);
}

HIDDEN void tool_free(void *p)
{
	__atomic_add_fetch(&tool_calls, 1, __ATOMIC_RELAXED);
	own_free(p);
}

#ifdef HOW_TRAPPED
static void on_trap(int sig)
{
	tool_calls += (uint64_t)sig; /* it goes on behind the breakpoint */
}

static void change(void *function, void *with)
{
	*(volatile uint8_t *)function = 0xcc;
	(void)with;
}
#else
static void change(void *function, void *with)
{
	int32_t distance = (int32_t)((char *)with - ((char *)function + 5));

	*(volatile uint8_t *)function = 0xe9;
	memcpy((char *)function + 1, &distance, sizeof(distance));
}
#endif

__attribute__((constructor)) static void begin(void)
{
	char *page = (char *)((uintptr_t)malloc_here & ~(uintptr_t)4095);

#ifdef HOW_TRAPPED
	signal(SIGTRAP, on_trap);
#endif
	if (mprotect(page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC))
		_exit(4);
	change(malloc_here, (void *)tool_malloc);
	change(free_here, (void *)tool_free);
	mprotect(page, 8192, PROT_READ | PROT_EXEC);
}
#endif
