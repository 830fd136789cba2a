/*
 * An allocator's operator new that has no memory: the exception passes through the call, whether
 * the recorder is there or not.
 *
 * attached_throws      prints "ready"; at a line or the end of its input it ends, and says how
 *                      often it was thrown, and what went wrong
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <unistd.h>

static uint64_t thrown, made, wrong;

__attribute__((noinline)) static void ask(size_t size)
{
	try {
		char *p = new char[size];

		*p = 1;
		__asm__ volatile("" : : "r"(p) : "memory");
		delete[] p;
		made++;
		if (size > SIZE_MAX / 4)
			wrong++;
	} catch (const std::bad_alloc &) {
		thrown++;
		if (size < SIZE_MAX / 4)
			wrong++;
	}
}

/* An object of its own keeps count of how the stack is unwound. */
struct guard {
	uint64_t &count;
	explicit guard(uint64_t &c) : count(c)
	{
		count++;
	}
	~guard()
	{
		count--;
	}
};

int main()
{
	uint64_t inside = 0;
	bool over = false;
	fd_set fds;

	printf("ready\n");
	fflush(stdout);
	while (!over) {
		timeval none = {0, 0};

		for (size_t i = 1; i < 1000; i++) {
			guard g(inside);

			ask(i % 10 ? i : SIZE_MAX / 2 - 100 + i % 7);
		}
		FD_ZERO(&fds);
		FD_SET(0, &fds);
		over = select(1, &fds, nullptr, nullptr, &none) > 0;
	}
	if (inside)
		wrong++;
	printf("{\"thrown\":%lu,\"made\":%lu,\"wrong\":%lu}\n", thrown, made, wrong);
	return wrong ? 1 : 0;
}
