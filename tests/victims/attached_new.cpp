/*
 * operator new without memory, in every way that it may end: how often new_handlers ran and what
 * was thrown must be the same whether the recorder is there or not; and what was allocated is
 * counted.
 *
 * attached_new         says "begin", and at a line does it all, says "end", and ends at another one
 * attached_new slow    the same with one call, whose handler says "handler", waits, and throws
 */
#include <cstdint>
#include <cstdlib>
#include <new>
#include <pthread.h>
#include <sys/resource.h>

#include "truth.h"

#define ROUNDS 20

struct own_error : std::bad_alloc {
};

static unsigned int runs, thrown, own_thrown, numbers, nulls, helped, unwound, ended;
static const size_t too_much = SIZE_MAX / 4;

/* Counts how the stack is unwound. */
struct guard {
	~guard()
	{
		unwound++;
	}
};

extern "C" NOINLINE void after_throw(truth_site *s, size_t size)
{
	void *p = truth_born(s, ::operator new(opaque(size)), size);

	truth_born(s, ::operator new(opaque(size + 1)), size + 1);
	truth_died(s, size);
	::operator delete(p);
}

extern "C" NOINLINE void ask(size_t size)
{
	truth_site *s = truth_at("after_throw");

	try {
		guard g;

		::operator delete(::operator new(opaque(size)));
	} catch (const own_error &) {
		own_thrown++;
		after_throw(s, 50);
	} catch (const std::bad_alloc &) {
		thrown++;
		after_throw(s, 60);
	} catch (int) {
		numbers++;
		after_throw(s, 70);
	}
}

extern "C" NOINLINE void ask_nothrow(size_t size)
{
	void *p = ::operator new(opaque(size), std::nothrow);

	if (!p)
		nulls++;
	::operator delete(p);
}

static void throw_own()
{
	runs++;
	throw own_error();
}

static void throw_number()
{
	runs++;
	throw 1;
}

static char *wait_arguments[] = {const_cast<char *>(""), const_cast<char *>("--wait")};

static void wait_and_throw()
{
	truth_print("attached_new", "handler");
	truth_wait(2, wait_arguments);
	throw_number();
}

static void give_up()
{
	runs++;
	std::set_new_handler(nullptr);
}

static void set_another()
{
	runs++;
	std::set_new_handler(give_up);
}

/* ---- a handler that helps ---- */

static const size_t large = size_t(64) << 20;

static void more_memory()
{
	rlimit limit;

	runs++;
	getrlimit(RLIMIT_AS, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_AS, &limit);
}

extern "C" NOINLINE void be_helped()
{
	truth_site *s = truth_at(__func__);
	rlimit limit;

	for (int i = 0; i < ROUNDS; i++) {
		size_t size = large + size_t(i) * 4096;

		getrlimit(RLIMIT_AS, &limit);
		limit.rlim_cur = size;
		setrlimit(RLIMIT_AS, &limit);
		truth_born(s, ::operator new(opaque(size)), size);
		helped++;
	}
	more_memory();
	runs--;
}

/* ---- a thread that ends in a handler ---- */

static void end_thread()
{
	runs++;
	pthread_exit(&runs);
}

extern "C" NOINLINE void *in_thread(void *)
{
	guard g;

	truth_born(truth_at(__func__), malloc(opaque(10)), 10);
	::operator delete(::operator new(opaque(too_much)));
	return nullptr;
}

static void threads()
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_t thread;
		void *result = nullptr;

		pthread_create(&thread, nullptr, in_thread, nullptr);
		pthread_join(thread, &result);
		if (result == &runs)
			ended++;
	}
}

static void with(std::new_handler handler, void (*what)(size_t))
{
	for (int i = 0; i < ROUNDS; i++) {
		std::set_new_handler(handler);
		what(too_much + size_t(i));
		what(100);
	}
}

static void all()
{
	with(nullptr, ask);
	with(throw_own, ask);
	with(throw_number, ask);
	with(set_another, ask);
	with(nullptr, ask_nothrow);
	with(throw_own, ask_nothrow);
	with(set_another, ask_nothrow);
	std::set_new_handler(end_thread);
	threads();
	std::set_new_handler(more_memory);
	be_helped();
}

int main(int argc, char **)
{
	truth_at("after_throw");
	truth_print("attached_new", "begin");
	truth_wait(2, wait_arguments);
	if (argc > 1) {
		std::set_new_handler(wait_and_throw);
		ask(too_much);
	} else {
		all();
	}
	truth_note("runs", "%u", runs);
	truth_note("thrown", "[%u,%u,%u]", thrown, own_thrown, numbers);
	truth_note("nulls", "%u", nulls);
	truth_note("helped", "%u", helped);
	truth_note("unwound", "%u", unwound);
	truth_note("ended", "%u", ended);
	truth_print("attached_new", "end");
	truth_wait(2, wait_arguments);
	return truth_status();
}
