/* The machine code of a plan, run: hooks near and far, entries that jump and slots that lead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "inject/plan.h"
#include "inject/thunks.h"
#include "wire/blob.h"

#define PAGE_BYTES 4096
#define SLOT_AT 1024
#define WHAT 0x1234u

/* Hooks that return one of the registers they were entered with, or what these were before. */
uint64_t say_r11(void);
uint64_t say_r10(void);
uint64_t say_kept(void);
__asm__(".text\n"
	"say_r11: mov %r11, %rax; ret\n"
	"say_r10: mov %r10, %rax; ret\n"
	"say_kept: mov -8(%rsp), %rax; sub -16(%rsp), %rax; ret\n");

/* Calls f with r11 and r10 whose difference is 5. */
static uint64_t call(uint64_t f)
{
	uint64_t r;

	__asm__ volatile("mov $1005, %%r11d\n"
			 "mov $1000, %%r10d\n"
			 "sub $128, %%rsp\n" /* the red zone */
			 "call *%1\n"
			 "add $128, %%rsp"
			 : "=a"(r)
			 : "b"(f)
			 : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
	return r;
}

/* A page in reach of a near jump from the hooks above, or out of it. */
static uint8_t *page(bool near)
{
	uint64_t hooks = (uint64_t)(uintptr_t)say_r11 & ~(uint64_t)(PAGE_BYTES - 1);
	void *at = MAP_FAILED;

	for (uint64_t i = 1; near && at == MAP_FAILED && i < 64; i++)
		at = mmap((void *)(hooks + (i << 24)), PAGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	for (uint64_t i = 2; !near && at == MAP_FAILED && i < 64; i++)
		at = mmap((void *)(hooks + (i << 32)), PAGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	assert_ptr_not_equal(at, MAP_FAILED);
	return at;
}

struct thunk {
	uint8_t *page;
	struct entry entry;
	struct plan_entry planned;
	struct plan_slot slot; /* a word that leads to the entry's thunk */
	struct wire_blob *blob;
};

static void make(struct thunk *t, bool near, bool by_slots, enum wire_hook hook,
		 uint64_t (*function)(void))
{
	static struct wire_blob blob;
	struct plan p = PLAN_INIT;

	memset(&blob, 0, sizeof(blob));
	blob.hooks[hook] = (uint64_t)(uintptr_t)function;
	*t = (struct thunk){.page = page(near), .blob = &blob};
	t->entry.addr = (uint64_t)(uintptr_t)t->page;
	t->entry.what = WHAT;
	t->planned.entry = t->slot.entry = &t->entry;
	t->planned.hook = hook;
	t->planned.slot = t->entry.addr + SLOT_AT;
	t->planned.by_slots = by_slots;
	p.entries = &t->planned;
	p.slots = &t->slot;
	p.nr_entries = p.nr_slots = 1;
	thunks_write(&p, &blob);
	memcpy(t->page, t->planned.jump, PLAN_JUMP_BYTES);
	memcpy(t->page + SLOT_AT, t->planned.thunk, PLAN_THUNK_BYTES);
	assert_int_equal(mprotect(t->page, PAGE_BYTES, PROT_READ | PROT_EXEC), 0);
}

static uint64_t moved_of(const struct thunk *t)
{
	return t->planned.slot + PLAN_THUNK_BYTES;
}

static void end(struct thunk *t)
{
	munmap(t->page, PAGE_BYTES);
}

static void test_registers(void **state)
{
	struct thunk t;

	(void)state;
	for (int near = 0; near < 2; near++) {
		make(&t, near, false, WIRE_HOOK_allocates_1, say_r11);
		assert_int_equal(call(t.entry.addr), moved_of(&t));
		end(&t);
		make(&t, near, false, WIRE_HOOK_frees_1, say_kept);
		assert_int_equal(call(t.entry.addr), 5);
		end(&t);
		make(&t, near, false, WIRE_HOOK_acquires, say_r10);
		assert_int_equal(call(t.entry.addr), WHAT);
		end(&t);
		make(&t, near, false, WIRE_HOOK_frees_1, say_r10);
		assert_int_equal(call(t.entry.addr), 1000);
		end(&t);
	}
}

static void test_plain(void **state)
{
	static const enum wire_hook plain[] = {WIRE_HOOK_malloc, WIRE_HOOK_malloc_2, WIRE_HOOK_free,
					       WIRE_HOOK_free_2, WIRE_HOOK_glibc_free};
	struct thunk t;

	(void)state;
	assert_int_equal(sizeof(plain) / sizeof(plain[0]), WIRE_HOOKS_PLAIN_NR);
	for (size_t i = 0; i < WIRE_HOOKS_PLAIN_NR; i++)
		for (int near = 0; near < 2; near++) {
			make(&t, near, false, plain[i], say_r10);
			assert_int_equal(call(t.entry.addr), 1000);
			assert_int_equal(call(t.planned.slot), 1000);
			for (size_t k = 0; k < WIRE_HOOKS_PLAIN_NR; k++)
				assert_int_equal(t.blob->reals[k],
						 k == plain[i] ? moved_of(&t) : 0);
			end(&t);
		}
}

static void test_direct(void **state)
{
	struct thunk t;
	int32_t distance;

	(void)state;
	make(&t, true, false, WIRE_HOOK_malloc, say_r10);
	memcpy(&distance, t.planned.jump + 1, sizeof(distance));
	assert_int_equal(t.entry.addr + PLAN_JUMP_BYTES + (uint64_t)(int64_t)distance,
			 (uint64_t)(uintptr_t)say_r10);
	end(&t);
}

static void test_slots(void **state)
{
	static const uint8_t none[PLAN_JUMP_BYTES];
	struct thunk t;

	(void)state;
	for (int near = 0; near < 2; near++) {
		make(&t, near, true, WIRE_HOOK_frees_1, say_r11);
		assert_memory_equal(t.planned.jump, none, sizeof(none));
		assert_int_equal(t.slot.after, t.planned.slot);
		assert_int_equal(call(t.slot.after), t.entry.addr);
		end(&t);
		make(&t, near, true, WIRE_HOOK_malloc, say_r10);
		assert_int_equal(call(t.slot.after), 1000);
		assert_int_equal(t.blob->reals[WIRE_HOOK_malloc], t.entry.addr);
		end(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registers),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_direct),
		cmocka_unit_test(test_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
