/*
 * Objects of C++ classes of every make, and blocks that only look like them: what a tool says they
 * are is compared with what this program knows. Prints {"pid": …, "classes": {"NAME": count}, …}
 * and waits for the end of its standard input. Nothing here is freed.
 *
 * Built with and without type information, and stripped: e2e/blocks.py.
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <unistd.h>

#define KEPT 4096

static void *kept[KEPT];
static unsigned int nr_kept;

static void keep(void *p)
{
	if (nr_kept < KEPT)
		kept[nr_kept++] = p;
}

namespace shop
{

struct Base {
	virtual ~Base() = default;
	virtual int price() const
	{
		return value;
	}
	int value = 1;
};

struct Order : Base {
	int price() const override
	{
		return 2;
	}
	char note[40] = "an order";
};

struct Named {
	virtual ~Named() = default;
	virtual const char *name() const
	{
		return "named";
	}
	long id = 7;
};

/* Two tables; the object begins with the first. */
struct Both : Base, Named {
	int price() const override
	{
		return 3;
	}
	const char *name() const override
	{
		return "both";
	}
	long more[3] = {};
};

struct Virtual : virtual Base {
	int price() const override
	{
		return 4;
	}
	long rest[5] = {};
};

template <typename T, int N> struct Shelf : Base {
	int price() const override
	{
		return N;
	}
	T goods[N] = {};
};

} // namespace shop

namespace
{
struct Hidden {
	virtual ~Hidden() = default;
	virtual void nothing()
	{
	}
	char bytes[100] = {};
};
} // namespace

struct Plain {
	long a = 1, b = 2;
};

static std::string listing;

static void tell(const char *name, unsigned int count)
{
	char text[256];

	snprintf(text, sizeof(text), "%s\"%s\": %u", listing.empty() ? "" : ", ", name, count);
	listing += text;
}

template <typename T> static void make(const char *name, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		keep(new T);
	tell(name, count);
}

/* Words that point to tables and to code, but where no object is. */
static void make_lookalikes()
{
	for (unsigned int i = 0; i < 50; i++) {
		auto **words = static_cast<const void **>(malloc(8 * sizeof(void *)));

		words[0] = i % 2 ? reinterpret_cast<const void *>(&make_lookalikes)
				 : static_cast<const void *>("a constant");
		words[1] = words;
		keep(words);
	}
}

/* The middle of a table is no table of an object. */
static void make_secondary()
{
	shop::Both both;
	void **table, **copy = static_cast<void **>(malloc(64));

	shop::Named *second = &both;
	memcpy(&table, static_cast<void *>(second), sizeof(table));
	copy[0] = table;
	keep(copy);
}

int main()
{
	char byte;

	make<shop::Base>("shop::Base", 11);
	make<shop::Order>("shop::Order", 222);
	make<shop::Both>("shop::Both", 33);
	make<shop::Virtual>("shop::Virtual", 44);
	make<shop::Shelf<long, 5>>("shop::Shelf<long, 5>", 55);
	make<shop::Shelf<std::map<int, char>, 2>>(
		"shop::Shelf<std::map<int, char, std::less<int>, "
		"std::allocator<std::pair<int const, char> > >, 2>",
		6);
	make<Hidden>("(anonymous namespace)::Hidden", 77);
	make<Plain>("", 88);
	for (unsigned int i = 0; i < 9; i++)
		keep(new shop::Order[i + 4]);
	tell("shop::Order[]", 9);
	make_lookalikes();
	make_secondary();
	printf("{\"pid\": %d, \"classes\": {%s}}\n", (int)getpid(), listing.c_str());
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0) {
	}
	return 0;
}
