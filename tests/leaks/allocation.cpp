/* Every form of new, and classes that own a block. */
#include <cstdlib>
#include <cstring>
#include <cwchar>
#include <memory>
#include <new>
#include <string>

#include "leaks.h"

namespace
{

struct point {
	long x, y;
};

class owner
{
      public:
	explicit owner(size_t size) : data_(new char[size])
	{
	}
	owner(const owner &) = delete;
	owner &operator=(const owner &) = delete;
	virtual ~owner()
	{
		delete[] data_;
	}

      private:
	char *data_;
};

class forgetful
{
      public:
	explicit forgetful(bool forgets) : forgets_(forgets), data_(new char[91])
	{
	}
	forgetful(const forgetful &) = delete;
	forgetful &operator=(const forgetful &) = delete;
	~forgetful()
	{
		if (!forgets_)
			delete[] data_;
	}

      private:
	bool forgets_;
	char *data_;
};

struct alignas(128) wide {
	char bytes[256];
};

/* Comes from a function of its own. */
struct pooled {
	char bytes[52];
	static void *operator new(size_t size)
	{
		return std::malloc(size);
	}
	static void operator delete(void *p)
	{
		std::free(p);
	}
};

} // namespace

CASE(new_int)
{
	int *p = new int(5);

	leak_touch(p);
	if (!bad)
		delete p;
}

CASE(new_array)
{
	int *p = new int[40];

	leak_touch(p);
	if (!bad)
		delete[] p;
}

CASE(new_structure)
{
	point *p = new point{1, 2};

	leak_touch(p);
	if (!bad)
		delete p;
}

CASE(new_class)
{
	owner *p = new owner(300);

	leak_touch(p);
	if (!bad)
		delete p;
}

/* The count of elements stands before the first, and the pointer behind it. */
CASE(new_class_array)
{
	owner *p = static_cast<owner *>(operator new(sizeof(owner)));

	new (p) owner(17);
	leak_touch(p);
	if (!bad)
		delete p;
	std::string *names = new std::string[6];

	names[5] = "longer than what a string holds in itself";
	if (!bad)
		delete[] names;
}

CASE(new_nothrow)
{
	char *p = new (std::nothrow) char[19];

	leak_touch(p);
	if (!bad)
		delete[] p;
}

CASE(new_aligned)
{
	wide *p = new wide;

	leak_touch(p);
	if (!bad)
		delete p;
}

CASE(new_of_the_class)
{
	pooled *p = new pooled;

	leak_touch(p);
	if (!bad)
		delete p;
}

CASE(new_wchar)
{
	wchar_t *p = new wchar_t[30];

	wcscpy(p, L"wide");
	if (!bad)
		delete[] p;
}

CASE(placed_in_malloc)
{
	void *room = malloc(sizeof(owner));
	owner *p = new (room) owner(21);

	/* Its destructor frees what it owns, and nobody frees it. */
	p->~owner();
	if (!bad)
		free(room);
}

CASE(destructor_not_called)
{
	void *room = malloc(sizeof(owner));
	owner *p = new (room) owner(22);

	if (!bad)
		p->~owner();
	free(room);
}

CASE(destructor_forgets)
{
	forgetful object(bad);

	leak_touch(&object);
}

CASE(string_on_the_heap)
{
	std::string *text = new std::string(200, 'x');

	leak_touch(text);
	if (!bad)
		delete text;
}

CASE(wide_string)
{
	std::wstring *text = new std::wstring(50, L'x');

	leak_touch(text);
	if (!bad)
		delete text;
}

CASE(unique_released)
{
	std::unique_ptr<point> p(new point{3, 4});

	if (bad)
		leak_touch(p.release());
}

CASE(unique_array_released)
{
	std::unique_ptr<char[]> p(new char[61]);

	if (bad)
		leak_touch(p.release());
}
