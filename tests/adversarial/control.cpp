/* Control that leaves frames in other ways than by return: longjmp, exceptions, tail calls. */
#include "adv.h"

#include <csetjmp>
#include <cstdlib>
#include <exception>
#include <search.h>
#include <stdexcept>
#include <string>
#include <thread>

/* --- longjmp out of frames that have allocated. */

static jmp_buf back;
static int jumps; /* counts rounds; static, because longjmp may undo what registers hold */

static NOINLINE void jump_from(int depth)
{
	volatile char room[48];

	room[0] = (char)depth;
	churn(20 + (size_t)depth);
	if (depth == 0)
		longjmp(back, 1);
	if (depth < 0) /* never: for the compiler, which would call this endless */
		return;
	jump_from(depth - 1);
	room[0] = (char)(room[0] + 1);
	churn(5);
}

static void long_jumps()
{
	for (jumps = 0; jumps < 300; jumps++) {
		if (setjmp(back) == 0)
			jump_from((int)(dice() % 20));
		churn(3);
	}
}

/* --- Exceptions; destructors allocate while the stack is being unwound. */

struct allocates_at_end {
	int size;
	~allocates_at_end()
	{
		churn(40 + (size_t)size);
	}
};

static NOINLINE int throw_from(int depth)
{
	allocates_at_end guard{depth};
	std::string text(40 + (size_t)depth, 'x');

	counted();
	if (depth == 0)
		throw std::runtime_error("from below, with a text that needs a block: " + text);
	return throw_from(depth - 1) + (int)text.size();
}

static NOINLINE int catch_at(int depth)
{
	try {
		return throw_from(depth);
	} catch (const std::exception &e) {
		std::string copy = e.what();

		churn(copy.size());
		return 1;
	}
}

static void exceptions()
{
	for (int i = 0; i < 300; i++)
		catch_at((int)(dice() % 12));
}

/* A destructor that throws and catches while another exception is on its way. */
struct throws_inside {
	~throws_inside()
	{
		catch_at(2);
		churn(60);
	}
};

static NOINLINE void rethrow_through(int depth)
{
	throws_inside guard;

	touch(&guard);
	try {
		if (depth == 0)
			throw std::logic_error("bottom");
		rethrow_through(depth - 1);
	} catch (const std::logic_error &) {
		churn(61);
		throw;
	}
}

static void nested_exceptions()
{
	for (int i = 0; i < 50; i++) {
		try {
			rethrow_through((int)(dice() % 6));
		} catch (const std::logic_error &) {
			churn(62);
		}
	}
}

/* Thrown in one thread, thrown again in another. */
static void exceptions_between_threads()
{
	for (int i = 0; i < 20; i++) {
		std::exception_ptr carried;

		std::thread([&carried] {
			try {
				throw_from(5);
			} catch (...) {
				carried = std::current_exception();
			}
		}).join();
		try {
			std::rethrow_exception(carried);
		} catch (const std::runtime_error &) {
			churn(63);
		}
	}
}

/* --- Tail calls: the frame of the caller is gone, its return address is the callee's. */

static NOINLINE int tail_a(int depth), tail_b(int depth), tail_c(int depth);

static int tail_a(int depth)
{
	churn(70);
	return depth <= 0 ? 1 : tail_b(depth - 1);
}

static int tail_b(int depth)
{
	volatile char room[96];

	room[0] = 1;
	churn(71);
	return depth <= 0 ? room[0] : tail_c(depth - 1);
}

static int tail_c(int depth)
{
	churn(72);
	return dice() & 1 ? tail_a(depth - 1) : tail_b(depth - 1);
}

static void tail_calls()
{
	for (int i = 0; i < 300; i++)
		tail_a((int)(dice() % 10));
}

/* A call that never returns is the last instruction of its function: pc - 1 must be looked up. */
[[noreturn]] static NOINLINE void never_returns(int size)
{
	churn((size_t)size);
	longjmp(back, 1);
}

[[noreturn]] static NOINLINE void ends_in_a_call(int size)
{
	volatile char room[64];

	room[0] = (char)size;
	touch(room);
	never_returns(size);
}

static void noreturn_calls()
{
	for (jumps = 0; jumps < 200; jumps++)
		if (setjmp(back) == 0)
			ends_in_a_call(80 + jumps % 7);
}

/* --- Called back by the C library, through frames of its own. */

static int compare_ints(const void *a, const void *b)
{
	int x = *static_cast<const int *>(a), y = *static_cast<const int *>(b);

	churn(16);
	return x < y ? -1 : x > y;
}

static void walk_node(const void *node, VISIT visit, int depth)
{
	touch(node);
	if (visit == leaf || visit == postorder)
		churn(17 + (size_t)depth);
}

static void library_callbacks()
{
	static int numbers[500];
	void *root = nullptr;

	for (int round = 0; round < 5; round++) {
		for (int &number : numbers)
			number = (int)dice();
		qsort(numbers, 500, sizeof(numbers[0]), compare_ints);
		touch(bsearch(&numbers[77], numbers, 500, sizeof(numbers[0]), compare_ints));
	}
	for (int &number : numbers) {
		tsearch(&number, &root, compare_ints);
		counted();
	}
	twalk(root, walk_node);
	for (const int &number : numbers)
		tdelete(&number, &root, compare_ints);
}

const adversarial_case control_cases[] = {
	{"long_jumps", long_jumps},
	{"exceptions", exceptions},
	{"nested_exceptions", nested_exceptions},
	{"exceptions_between_threads", exceptions_between_threads},
	{"tail_calls", tail_calls},
	{"noreturn_calls", noreturn_calls},
	{"library_callbacks", library_callbacks},
	{nullptr, nullptr},
};
