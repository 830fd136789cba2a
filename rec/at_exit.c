/*
 * The end, where the launcher has asked for it (seep run --leaks): the program waits until it has
 * been looked at, in its last destructor, or before the first function that exit() calls, or both.
 * Its other threads go on meanwhile, as they do in any exit().
 *
 * By now the program may be in a sandbox that ends it for any system call. So we make none before
 * the launcher, which can tell from outside, has said that we may.
 *
 * exit() is ours by its symbol. When main returns, the C library calls it without one; so where it
 * is wanted main is called through a function of ours. Otherwise nothing is in between.
 */
#include <linux/futex.h>
#include <stddef.h>
#include <time.h>

#include "hooks.h"
#include "rec.h"
#include "sys.h"

#define ESRCH_RAW 3
/* Some seconds: the launcher asks a hundred times a second whether we are here. */
#define SPINS_UNSEEN (1ull << 26)
/* Some minutes, for a look at a program in a sandbox. */
#define SPINS_SEEN (1ull << 32)
#define STALE_BYTES 768 /* of the stack below us: what functions that have returned left there */

typedef int (*main_function)(int argc, char **argv, char **environment);

static main_function real_main;

static uint32_t state_of(const uint32_t *state)
{
	return __atomic_load_n(state, __ATOMIC_ACQUIRE);
}

static bool change_state(uint32_t *state, uint32_t from, uint32_t to)
{
	return __atomic_compare_exchange_n(state, &from, to, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

static void spin_while(const uint32_t *state, uint32_t value, uint64_t spins)
{
	while (state_of(state) == value && spins--)
		arch_pause();
}

/* Until the launcher wakes us; if it is killed meanwhile, we find that out. */
static void sleep_while(const struct wire_header *h, const uint32_t *state, uint32_t value)
{
	const struct timespec second = {.tv_sec = 1};

	while (state_of(state) == value) {
		arch_syscall6(SYS_futex, (long)state, FUTEX_WAIT, value, (long)&second, 0, 0);
		if (sys2(SYS_kill, h->launcher_pid, 0) == -ESRCH_RAW)
			return;
	}
}

/* Copies of pointers that the program does not have any more must not hold what they point to. */
static COLD void clear_stale(void)
{
	uint64_t below[STALE_BYTES / 8];

	for (size_t i = 0; i < STALE_BYTES / 8; i++)
		below[i] = 0;
	__asm__ volatile("" : : "r"(below) : "memory");
}

static COLD void wait_for_look(struct wire_header *h, uint32_t *state)
{
	arch_clear_vectors();
	clear_stale();
	if (!change_state(state, WIRE_EXIT_ASKED, WIRE_EXIT_WAITS))
		return;
	spin_while(state, WIRE_EXIT_WAITS, SPINS_UNSEEN);
	if (change_state(state, WIRE_EXIT_WAITS, WIRE_EXIT_GO))
		return;
	spin_while(state, WIRE_EXIT_SPIN, SPINS_SEEN);
	sleep_while(h, state, WIRE_EXIT_SLEEP);
}

/* exit() has been called, or main has returned; by any thread, maybe in a signal handler. */
HOOK void rec_before_exit(void)
{
	struct wire_header *h = rec_gate.header;

	if (unlikely(h) && state_of(&h->exit_before) == WIRE_EXIT_ASKED)
		wait_for_look(h, &h->exit_before);
}

static int main_and_look(int argc, char **argv, char **environment)
{
	int status = real_main(argc, argv, environment);

	rec_before_exit();
	return status;
}

/* What __libc_start_main is to call instead of this main. */
HOOK void *rec_main_for(void *function)
{
	struct wire_header *h;

	rec_start(); /* musl runs constructors only in there */
	h = rec_gate.header;
	if (!h || state_of(&h->exit_before) != WIRE_EXIT_ASKED)
		return function;
	real_main = (main_function)function;
	return (void *)main_and_look;
}

__attribute__((destructor)) static void at_exit(void)
{
	struct wire_header *h = rec_gate.header;

	if (h && state_of(&h->exit_state) == WIRE_EXIT_ASKED)
		wait_for_look(h, &h->exit_state);
}
