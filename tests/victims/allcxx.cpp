/*
 * Every form of operator new and delete, new-handlers that leave by exception and by longjmp, and
 * exceptions themselves. One call of the program is one block, however many functions it passes
 * through inside the C++ library.
 */
#include <csetjmp>
#include <cstdlib>
#include <new>
#include <stdexcept>

#include "truth.h"

#define SITE extern "C" NOINLINE void

SITE use_new()
{
	truth_site *s = truth_at(__func__);
	void *p = truth_born(s, ::operator new(opaque(100)), 100);

	truth_born(s, ::operator new(opaque(0)), 0);
	truth_born(s, ::operator new(opaque(33)), 33);
	truth_died(s, 100);
	::operator delete(p);
	::operator delete(reinterpret_cast<void *>(opaque(0)));
}

SITE use_new_array()
{
	truth_site *s = truth_at(__func__);
	void *p = truth_born(s, ::operator new[](opaque(101)), 101);

	truth_born(s, ::operator new[](opaque(34)), 34);
	truth_died(s, 101);
	::operator delete[](p);
}

SITE use_nothrow()
{
	truth_site *s = truth_at(__func__);
	void *p = truth_born(s, ::operator new(opaque(102), std::nothrow), 102);
	void *q = truth_born(s, ::operator new[](opaque(103), std::nothrow), 103);

	truth_born(s, ::operator new(opaque(35), std::nothrow), 35);
	truth_died(s, 102);
	::operator delete(p, std::nothrow);
	truth_died(s, 103);
	::operator delete[](q, std::nothrow);
}

SITE use_nothrow_too_much()
{
	truth_site *s = truth_at(__func__);

	s->only_live = 1; /* libstdc++ throws and catches inside: exceptions are blocks, too */
	truth_check(!truth_born(s, ::operator new(opaque(PTRDIFF_MAX), std::nothrow), 0),
		    "nothrow new of too much gives NULL");
	truth_check(!truth_born(s, ::operator new[](opaque(PTRDIFF_MAX), std::nothrow), 0),
		    "nothrow new[] of too much gives NULL");
}

SITE use_aligned()
{
	truth_site *s = truth_at(__func__);
	const std::align_val_t line{64}, page{4096};
	void *p = truth_born(s, ::operator new(opaque(104), line), 104);
	void *q = truth_born(s, ::operator new[](opaque(105), page), 105);
	void *r = truth_born(s, ::operator new(opaque(106), line, std::nothrow), 106);
	void *t = truth_born(s, ::operator new[](opaque(107), line, std::nothrow), 107);

	truth_check(reinterpret_cast<uintptr_t>(p) % 64 == 0, "aligned new aligns to 64");
	truth_check(reinterpret_cast<uintptr_t>(q) % 4096 == 0, "aligned new[] aligns to 4096");
	truth_born(s, ::operator new(opaque(36), line), 36);
	truth_died(s, 104);
	::operator delete(p, line);
	truth_died(s, 105);
	::operator delete[](q, page);
	truth_died(s, 106);
	::operator delete(r, line, std::nothrow);
	truth_died(s, 107);
	::operator delete[](t, line, std::nothrow);
}

SITE use_sized_delete()
{
	truth_site *s = truth_at(__func__);
	const std::align_val_t line{64};
	void *p = truth_born(s, ::operator new(opaque(108)), 108);
	void *q = truth_born(s, ::operator new[](opaque(109)), 109);
	void *r = truth_born(s, ::operator new(opaque(110), line), 110);
	void *t = truth_born(s, ::operator new[](opaque(111), line), 111);

	truth_died(s, 108);
	::operator delete(p, opaque(108));
	truth_died(s, 109);
	::operator delete[](q, opaque(109));
	truth_died(s, 110);
	::operator delete(r, opaque(110), line);
	truth_died(s, 111);
	::operator delete[](t, opaque(111), line);
}

struct thing {
	long values[5];
	explicit thing(bool fails)
	{
		values[0] = 1;
		if (fails)
			throw std::runtime_error("constructor");
	}
	~thing()
	{
		truth_touch(this);
	}
};

/* An array of objects with a destructor: the compiler asks for room for the count as well. */
SITE use_objects()
{
	truth_site *s = truth_at(__func__);
	alignas(thing) static char room[sizeof(thing)];
	thing *one = new thing(false), *placed = new (room) thing(false);
	thing *many = new thing[3]{thing(false), thing(false), thing(false)};

	truth_born(s, one, sizeof(thing));
	truth_born(s, many, 3 * sizeof(thing) + sizeof(size_t));
	placed->~thing();
	truth_died(s, 3 * sizeof(thing) + sizeof(size_t));
	delete[] many;
	truth_born(s, new thing(opaque(0) != 0), sizeof(thing));
}

/* The block is freed again by the code that unwinds; only the exception itself is libc's affair. */
SITE use_throwing_constructor()
{
	truth_site *s = truth_at(__func__);
	bool caught = false;

	try {
		truth_touch(new thing(opaque(1) != 0));
	} catch (const std::runtime_error &) {
		caught = true;
	}
	truth_check(caught, "the constructor's exception arrives");
	s->only_live = 1;
}

SITE use_too_much()
{
	truth_site *s = truth_at(__func__);
	int caught = 0;

	s->only_live = 1; /* exceptions */
	try {
		truth_touch(::operator new(opaque(PTRDIFF_MAX)));
	} catch (const std::bad_alloc &) {
		caught++;
	}
	try {
		truth_touch(new thing *[opaque(SIZE_MAX / 4)]);
	} catch (const std::bad_alloc &) { /* bad_array_new_length is one */
		caught++;
	}
	try {
		truth_touch(::operator new (opaque(PTRDIFF_MAX) - 63, std::align_val_t{64}));
	} catch (const std::bad_alloc &) {
		caught++;
	}
	truth_check(caught == 3, "too much is a bad_alloc each time");
}

static std::jmp_buf back;
static int handler_calls;

static void handler_throws()
{
	handler_calls++;
	throw std::bad_alloc();
}

static void handler_jumps()
{
	handler_calls++;
	std::longjmp(back, 1);
}

/* Tries twice, then gives up by taking itself out: operator new throws. */
static void handler_gives_up()
{
	if (++handler_calls == 2)
		std::set_new_handler(nullptr);
}

SITE use_throwing_handler()
{
	truth_site *s = truth_at(__func__);
	volatile int caught = 0;

	s->only_live = 1;
	for (int i = 0; i < 10; i++) {
		std::set_new_handler(handler_throws);
		try {
			truth_touch(::operator new(opaque(PTRDIFF_MAX)));
		} catch (const std::bad_alloc &) {
			caught = caught + 1;
		}
		std::set_new_handler(nullptr);
		/* A recorder that still believes to be inside the call above would miss this. */
		truth_born(s, ::operator new(opaque(40)), 40);
	}
	truth_check(caught == 10 && handler_calls == 10, "the handler's exception arrives");
}

SITE use_jumping_handler()
{
	truth_site *s = truth_at(__func__);
	volatile int jumped = 0;

	handler_calls = 0;
	for (volatile int i = 0; i < 10; i = i + 1) {
		std::set_new_handler(handler_jumps);
		if (setjmp(back) == 0)
			truth_touch(::operator new(opaque(PTRDIFF_MAX)));
		else
			jumped = jumped + 1;
		std::set_new_handler(nullptr);
		truth_born(s, std::malloc(opaque(41)), 41);
	}
	truth_check(jumped == 10 && handler_calls == 10, "the handler's longjmp arrives");
}

SITE use_handler_that_gives_up()
{
	truth_site *s = truth_at(__func__);
	bool caught = false;

	s->only_live = 1;
	handler_calls = 0;
	std::set_new_handler(handler_gives_up);
	try {
		truth_touch(::operator new(opaque(PTRDIFF_MAX)));
	} catch (const std::bad_alloc &) {
		caught = true;
	}
	truth_check(caught && handler_calls == 2, "the handler is asked until it is gone");
	truth_born(s, ::operator new(opaque(42)), 42);
}

static NOINLINE void throw_deep(int depth)
{
	if (depth == 0)
		throw std::runtime_error("far down");
	throw_deep(depth - 1);
	truth_touch(&depth);
}

SITE use_exceptions()
{
	truth_site *s = truth_at(__func__);
	int caught = 0;

	s->only_live = 1;
	for (int i = 0; i < 100; i++) {
		try {
			throw_deep(i % 30);
		} catch (const std::runtime_error &e) {
			caught += e.what()[0] == 'f';
		}
	}
	truth_check(caught == 100, "all exceptions arrive");
}

int main(int argc, char **argv)
{
	use_new();
	use_new_array();
	use_nothrow();
	use_nothrow_too_much();
	use_aligned();
	use_sized_delete();
	use_objects();
	use_throwing_constructor();
	use_too_much();
	use_throwing_handler();
	use_jumping_handler();
	use_handler_that_gives_up();
	use_exceptions();
	truth_print("allcxx", "end");
	truth_wait(argc, argv);
	return truth_status();
}
