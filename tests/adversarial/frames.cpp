/* Frames of unusual shape: realigned, of variable size, very many, without unwind information. */
#include "adv.h"

#include <algorithm>
#include <alloca.h>
#include <functional>
#include <thread>
#include <vector>

/* --- Frames realigned to more than the ABI gives; with arguments on the stack this needs DRAP. */

static NOINLINE int realign_64(int depth, int b, int c, int d, int e, int f, int g, int h)
{
	alignas(64) volatile char room[64];
	char *more = static_cast<char *>(alloca(16 + (size_t)(depth & 7) * 16));
	int below;

	more[0] = (char)depth;
	room[0] = (char)depth;
	touch(room);
	touch(more);
	expect((uintptr_t)room % 64 == 0, "a realigned frame is aligned");
	if (depth <= 0) {
		churn(9);
		return g + h;
	}
	below = realign_64(depth - 1, b, c, d, e, f, g + 1, h);
	churn(8);
	return below + room[0] + more[0];
}

static NOINLINE int realign_32(int depth)
{
	alignas(32) volatile double room[4];
	int below;

	room[0] = depth;
	touch(room);
	if (depth <= 0) {
		churn(9);
		return 1;
	}
	below = realign_32(depth - 1) + realign_32(depth - 2);
	churn(10);
	return below + (int)room[0];
}

/* No alloca, arguments on the stack: realigned without being variable in size. */
static NOINLINE int realign_plain(int depth, long b, long c, long d, long e, long f, long g, long h)
{
	alignas(128) volatile char room[128];
	int below = 0;

	room[depth & 127] = 1;
	touch(room);
	if (depth > 0)
		below = realign_plain(depth - 1, b, c, d, e, f, h, g);
	churn((size_t)(g + h));
	return below + room[depth & 127];
}

static void realigned_frames()
{
	for (int i = 0; i < 60; i++) {
		realign_64((int)(dice() % 12), 1, 2, 3, 4, 5, 6, 7);
		realign_32((int)(dice() % 9));
		realign_plain((int)(dice() % 12), 1, 2, 3, 4, 5, 6, 7);
	}
}

/* --- Frames of a size known only at run time. */

static NOINLINE int variable_leaf(int depth)
{
	churn((size_t)depth + 1);
	stay();
	return depth;
}

/*
 * The same stack pointer below can mean different callers above: the sizes of two frames are traded
 * against each other, so that the innermost frames lie exactly where they lay before, while the
 * words that a careless cache compares are old and still look right.
 */
static NOINLINE int trade_inner(int size, int depth)
{
	char *room = static_cast<char *>(alloca((size_t)size));

	room[0] = 1;
	touch(room);
	return variable_leaf(depth) + room[0];
}

static NOINLINE int trade_outer(int size, int depth)
{
	char *room = static_cast<char *>(alloca((size_t)(1024 - size)));

	room[0] = 1;
	touch(room);
	return trade_inner(size, depth) + room[0];
}

static NOINLINE int trade_outer_too(int size, int depth)
{
	char *room = static_cast<char *>(alloca((size_t)(1024 - size)));
	int below;

	room[0] = 2;
	touch(room);
	below = trade_inner(size, depth);
	stay();
	return below + room[0];
}

static void variable_frames()
{
	for (int i = 0; i < 2000; i++) {
		int size = 16 + (int)(dice() % 60) * 16;

		if (dice() & 1)
			trade_outer(size, i % 5);
		else
			trade_outer_too(size, i % 5);
	}
}

/* --- Random call trees: the same (pc, sp) is reached by many different outer paths. */

typedef int node_fn(int);
static node_fn small_frame, sparse_frame, dynamic_frame, lopsided_frame, library_frame;
static node_fn *const nodes[] = {small_frame, sparse_frame, dynamic_frame, lopsided_frame,
				 library_frame};

static int next(int depth)
{
	return nodes[dice() % 5](depth);
}

static NOINLINE int small_frame(int depth)
{
	volatile char room[24];
	int below;

	room[0] = 1;
	if (depth <= 0) {
		churn(1);
		return 0;
	}
	below = next(depth - 1);
	churn(2);
	if (dice() & 1)
		below += next(depth - 1);
	return below + room[0];
}

static NOINLINE int sparse_frame(int depth)
{
	volatile char room[24];
	int below;

	room[0] = 1;
	if (depth <= 0) {
		churn(3);
		return 0;
	}
	below = next(depth - 1);
	if (dice() & 1)
		below += next(depth - 2);
	churn(4);
	return below + room[0];
}

static NOINLINE int dynamic_frame(int depth)
{
	char *room = static_cast<char *>(alloca(32 + (size_t)(dice() & 3) * 16));
	int below;

	room[0] = 1;
	touch(room);
	if (depth <= 0) {
		churn(5);
		return 0;
	}
	below = next(depth - 1);
	churn(6);
	return below + room[0];
}

static NOINLINE int lopsided_frame(int depth)
{
	volatile char room[200];
	int below;

	room[7] = 1;
	if (depth <= 0) {
		churn(7);
		return 0;
	}
	below = next(depth - 1);
	if (depth > 3)
		below += next(depth - 3);
	return below + room[7];
}

/* Frames of the C++ library and of a lambda in between. */
static NOINLINE int library_frame(int depth)
{
	std::vector<int> values(depth > 0 ? (size_t)depth : 1);
	std::function<int(int)> go_on = [&values](int d) {
		churn(values.size());
		return next(d - 1);
	};

	counted();
	std::sort(values.begin(), values.end(), [](int a, int b) { return a < b; });
	return depth <= 0 ? 1 : go_on(depth) + (int)values.size();
}

static void random_trees()
{
	for (int i = 0; i < 400; i++)
		next(8 + (int)(dice() % 8));
}

static void random_trees_in_threads()
{
	std::vector<std::thread> threads;

	for (unsigned int id = 0; id < 6; id++) {
		threads.emplace_back([id] {
			dice_seed(id);
			for (int i = 0; i < 200; i++)
				next(10 + (int)(dice() % 6));
		});
	}
	for (std::thread &thread : threads)
		thread.join();
}

/* --- Depth that goes up and down like a saw, far beyond any fixed limit. */

static NOINLINE int saw(int depth, int teeth)
{
	volatile char room[32];
	int below = 0;

	room[depth & 31] = 1;
	if (depth > 0)
		below = saw(depth - 1, teeth);
	else
		churn(11);
	if (teeth && depth % 512 == 0) {
		churn(12);
		below += saw((int)(dice() % 64), 0);
	}
	return below + room[depth & 31];
}

static void deep_recursion()
{
	for (int depth = 1; depth <= 8192; depth *= 2)
		saw(depth, 1);
	for (int i = 0; i < 50; i++)
		saw((int)(dice() % 3000), 1);
}

/* --- Functions that have no unwind information at all: the walk must end there, not go astray. */

extern "C" int no_cfi_c(int depth, void (*callback)(size_t));
#ifdef __x86_64__
extern "C" void no_cfi_asm(void (*callback)(size_t), size_t argument);
#endif

static NOINLINE void churn_twice(size_t size)
{
	churn(size);
	churn(size + 1);
	stay();
}

static NOINLINE int with_cfi(int depth)
{
	volatile char room[48];

	room[depth & 7] = 1;
	if (depth > 0)
		return with_cfi(depth - 1) + room[depth & 7];
	no_cfi_c(3, churn_twice);
#ifdef __x86_64__
	no_cfi_asm(churn_twice, 40);
#endif
	churn_twice(50);
	return room[0];
}

static void missing_cfi()
{
	for (int i = 0; i < 200; i++)
		with_cfi((int)(dice() % 10));
}

const adversarial_case frame_cases[] = {
	{"realigned_frames", realigned_frames},
	{"variable_frames", variable_frames},
	{"random_trees", random_trees},
	{"random_trees_in_threads", random_trees_in_threads},
	{"deep_recursion", deep_recursion},
	{"missing_cfi", missing_cfi},
	{nullptr, nullptr},
};
