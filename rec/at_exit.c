/*
 * The end, where the launcher has asked for it (seep run --leaks): in its last destructor the
 * program waits until it has been looked at. Its other threads go on meanwhile, as they do in any
 * exit().
 *
 * By now the program may be in a sandbox that ends it for any system call. So we make none before
 * the launcher, which can tell from outside, has said that we may.
 */
#include <linux/futex.h>
#include <stddef.h>
#include <time.h>

#include "rec.h"
#include "sys.h"

#define ESRCH_RAW 3
/* Some seconds: the launcher asks a hundred times a second whether we are here. */
#define SPINS_UNSEEN (1ull << 26)
/* Some minutes, for a look at a program in a sandbox. */
#define SPINS_SEEN (1ull << 32)

static uint32_t state_of(struct wire_header *h)
{
	return __atomic_load_n(&h->exit_state, __ATOMIC_ACQUIRE);
}

static bool change_state(struct wire_header *h, uint32_t from, uint32_t to)
{
	return __atomic_compare_exchange_n(&h->exit_state, &from, to, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

static void spin_while(struct wire_header *h, uint32_t state, uint64_t spins)
{
	while (state_of(h) == state && spins--)
		arch_pause();
}

/* Until the launcher wakes us; if it is killed meanwhile, we find that out. */
static void sleep_while(struct wire_header *h, uint32_t state)
{
	const struct timespec second = {.tv_sec = 1};

	while (state_of(h) == state) {
		arch_syscall6(SYS_futex, (long)&h->exit_state, FUTEX_WAIT, state, (long)&second, 0,
			      0);
		if (sys2(SYS_kill, h->launcher_pid, 0) == -ESRCH_RAW)
			return;
	}
}

__attribute__((destructor)) static void at_exit(void)
{
	struct wire_header *h = rec_gate.header;

	if (!h || state_of(h) != WIRE_EXIT_ASKED)
		return;
	arch_clear_vectors();
	if (!change_state(h, WIRE_EXIT_ASKED, WIRE_EXIT_WAITS))
		return;
	spin_while(h, WIRE_EXIT_WAITS, SPINS_UNSEEN);
	if (change_state(h, WIRE_EXIT_WAITS, WIRE_EXIT_GO))
		return;
	spin_while(h, WIRE_EXIT_SPIN, SPINS_SEEN);
	sleep_while(h, WIRE_EXIT_SLEEP);
}
