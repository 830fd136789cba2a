/* Exceptions, static objects, threads. */
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "leaks.h"

namespace
{

volatile bool always = true;

struct part {
	char bytes[33] = {0};
};

void throws()
{
	if (always)
		throw std::runtime_error("a message that is longer than a small string");
}

/* The second part cannot be made; nobody ends the first. */
class half_made
{
      public:
	explicit half_made(bool bad) : first_(new part)
	{
		if (bad)
			throws();
	}
	half_made(const half_made &) = delete;
	half_made &operator=(const half_made &) = delete;
	~half_made()
	{
		delete first_;
	}

      private:
	part *first_;
};

std::unique_ptr<part> kept;
part *volatile raw, *volatile instance;

struct registry {
	std::vector<part *> parts;
	bool forgets = false;
	~registry()
	{
		for (auto *p : parts) {
			if (!forgets)
				delete p;
		}
	}
};

registry all_parts;

struct ends_late {
	part *volatile p = nullptr;
	bool forgets = false;
	~ends_late()
	{
		if (!forgets)
			delete p;
		p = nullptr;
	}
};

ends_late late;
thread_local ends_late of_thread;

part *factory(bool good)
{
	auto p = std::make_unique<part>();

	return good ? p.release() : nullptr;
}

} // namespace

CASE(thrown_over)
{
	try {
		part *p = new part;
		std::unique_ptr<part> guard(bad ? nullptr : p);

		throws();
		if (bad)
			delete p;
	} catch (const std::exception &) {
		leak_touch(nullptr);
	}
}

CASE(caught_and_forgotten)
{
	part *p = new part;

	try {
		throws();
	} catch (const std::exception &) {
		if (bad)
			return;
	}
	delete p;
}

CASE(thrown_by_constructor)
{
	try {
		half_made object(bad);

		leak_touch(&object);
	} catch (const std::exception &) {
		leak_touch(nullptr);
	}
}

CASE(thrown_pointer)
{
	try {
		throw new part;
	} catch (part *p) {
		leak_touch(p);
		if (!bad)
			delete p;
	}
}

CASE(thrown_on)
{
	try {
		part *p = new part;

		try {
			throws();
		} catch (...) {
			if (!bad)
				delete p;
			throw;
		}
	} catch (const std::exception &) {
		leak_touch(nullptr);
	}
}

/* Deleted by a static object's destructor, after main: not lost. */
CASE(static_unique)
{
	kept.reset(new part);
	if (bad)
		leak_touch(kept.release());
}

CASE(static_registry)
{
	all_parts.forgets = bad;
	for (int i = 0; i < 3; i++)
		all_parts.parts.push_back(new part);
}

CASE(static_destructor_forgets)
{
	late.forgets = bad;
	late.p = new part;
}

CASE(static_raw)
{
	raw = new part;
	if (bad)
		raw = nullptr;
}

CASE(thread_local_object)
{
	std::thread([bad] {
		of_thread.forgets = bad;
		of_thread.p = new part;
	}).join();
}

CASE(thread_gives_away)
{
	part *result = nullptr;

	std::thread([&result] { result = new part; }).join();
	if (!bad)
		delete result;
}

CASE(factory_ignored)
{
	part *p = factory(true);

	if (!bad)
		delete p;
}

CASE(singleton_lost)
{
	instance = new part;
	if (bad)
		instance = new part;
}
