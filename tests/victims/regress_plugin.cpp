/*
 * A C++ module for programs that know nothing of C++. plugin_leaks() leaves one block behind at
 * each call, plugin_works() none. With OWN_NEW the module brings its own operator new and delete,
 * of a kind that only fit together.
 */
#include <cstdlib>
#include <vector>

#ifdef OWN_NEW
#include <new>

#define GAP 64 /* in front of each block: free() of the wrong address aborts */

void *operator new(std::size_t size)
{
	return static_cast<char *>(std::malloc(size + GAP)) + GAP;
}

void operator delete(void *p) noexcept
{
	if (p)
		std::free(static_cast<char *>(p) - GAP);
}

void operator delete(void *p, std::size_t) noexcept
{
	operator delete(p);
}
#endif

static void *volatile kept;

extern "C" {

__attribute__((noinline)) void plugin_leaks()
{
	kept = operator new(400);
}

__attribute__((noinline)) int plugin_works()
{
	std::vector<int> *numbers = new std::vector<int>(100, 3);
	int nr = static_cast<int>(numbers->size());

	delete numbers;
	return nr;
}

/* 0: all went well. */
int plugin_run()
{
	plugin_leaks();
	return plugin_works() == 100 ? 0 : 1;
}
}
