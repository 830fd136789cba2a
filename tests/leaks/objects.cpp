/* Classes that hold each other: containers, hierarchies, shared ownership. */
#include <cstring>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "leaks.h"

namespace
{

struct animal {
	virtual void speak() = 0;
	virtual ~animal() = default;
	long legs = 4;
};

struct dog : animal {
	void speak() override
	{
	}
	std::string name = std::string(100, 'd');
};

struct left_base {
	virtual ~left_base() = default;
	long a = 1;
};

struct right_base {
	virtual ~right_base() = default;
	long b = 2;
};

struct both : left_base, right_base {
	char more[48] = {0};
};

/* The workshop's: words that know their neighbours, by pointers that own. */
struct word {
	virtual ~word() = default;
	std::shared_ptr<word> next, previous;
	std::weak_ptr<word> seen;
	char text[20] = {0};
};

struct inner {
	char state[80] = {0};
};

/* A class whose insides are behind a pointer. */
class outer
{
      public:
	explicit outer(bool forgets) : inner_(new inner), forgets_(forgets)
	{
	}
	outer(const outer &) = delete;
	outer &operator=(const outer &) = delete;
	~outer()
	{
		if (!forgets_)
			delete inner_;
	}

      private:
	inner *inner_;
	bool forgets_;
};

class text
{
      public:
	text(const char *s, bool forgets) : data_(new char[strlen(s) + 1]), forgets_(forgets)
	{
		strcpy(data_, s);
	}
	text(const text &other) : data_(new char[strlen(other.data_) + 1]), forgets_(other.forgets_)
	{
		strcpy(data_, other.data_);
	}
	text &operator=(const text &other)
	{
		char *copy = new char[strlen(other.data_) + 1];

		strcpy(copy, other.data_);
		if (!forgets_)
			delete[] data_;
		data_ = copy;
		return *this;
	}
	~text()
	{
		delete[] data_;
	}

      private:
	char *data_;
	bool forgets_;
};

right_base *volatile kept_base;

template <typename C> void delete_all(C &objects)
{
	for (auto *p : objects)
		delete p;
}

} // namespace

CASE(vector_of_pointers)
{
	std::vector<inner *> objects;

	for (int i = 0; i < 9; i++)
		objects.push_back(new inner);
	if (!bad)
		delete_all(objects);
}

CASE(list_of_pointers)
{
	std::list<inner *> objects;

	for (int i = 0; i < 9; i++)
		objects.push_back(new inner);
	if (!bad)
		delete_all(objects);
}

CASE(set_of_pointers)
{
	std::set<inner *> objects;

	for (int i = 0; i < 9; i++)
		objects.insert(new inner);
	if (!bad)
		delete_all(objects);
}

CASE(map_of_pointers)
{
	std::map<std::string, inner *> objects;

	for (int i = 0; i < 9; i++)
		objects[std::string(40, static_cast<char>('a' + i))] = new inner;
	for (auto &pair : objects) {
		if (!bad)
			delete pair.second;
	}
}

CASE(map_overwritten)
{
	std::map<int, inner *> objects;

	for (int i = 0; i < 4; i++) {
		if (!bad && objects.count(i % 2))
			delete objects[i % 2];
		objects[i % 2] = new inner;
	}
	for (auto &pair : objects)
		delete pair.second;
}

CASE(whole_map)
{
	auto *objects = new std::map<int, std::string>;

	for (int i = 0; i < 20; i++)
		(*objects)[i] = std::string(60, 'm');
	if (!bad)
		delete objects;
}

CASE(whole_hash_map)
{
	auto *objects = new std::unordered_map<int, std::string>;

	for (int i = 0; i < 50; i++)
		(*objects)[i] = std::string(60, 'h');
	if (!bad)
		delete objects;
}

CASE(whole_deque)
{
	auto *objects = new std::deque<long>(1000, 7);

	leak_touch(objects);
	if (!bad)
		delete objects;
}

CASE(whole_list)
{
	auto *objects = new std::list<long>(30, 7);

	leak_touch(objects);
	if (!bad)
		delete objects;
}

CASE(derived_by_base)
{
	animal *a = new dog;

	a->speak();
	if (!bad)
		delete a;
}

CASE(erased_and_not_deleted)
{
	std::vector<animal *> all{new dog, new dog};

	if (!bad)
		delete all[0];
	all.erase(all.begin());
	delete all[0];
}

/* A pointer to the second of two bases points into the object. */
CASE(second_base)
{
	both *object = new both;

	kept_base = bad ? nullptr : object;
}

CASE(insides_forgotten)
{
	outer object(bad);

	leak_touch(&object);
}

CASE(assigned_over)
{
	text a("the first text, which goes", bad), b("the second text", bad);

	a = b;
}

CASE(copies)
{
	auto *copy = new text(text("a text that is copied", false));

	if (!bad)
		delete copy;
}

/* Held by each other and by nobody else. */
CASE(wordcount_cycle)
{
	auto a = std::make_shared<word>(), b = std::make_shared<word>();

	a->next = b;
	if (bad)
		b->previous = a;
	else
		b->seen = a;
}

CASE(shared_cycle_of_new)
{
	std::shared_ptr<word> a(new word), b(new word), c(new word);

	a->next = b;
	b->next = c;
	if (bad)
		c->next = a;
}

CASE(shared_with_itself)
{
	auto a = std::make_shared<word>();

	a->seen = a;
	if (bad)
		a->next = a;
}

CASE(function_holds_itself)
{
	struct job {
		std::function<void()> run;
		char state[64] = {0};
	};
	auto a = std::make_shared<job>();

	if (bad)
		a->run = [a] { a->state[0]++; };
	else
		a->run = [p = a.get()] { p->state[0]++; };
}

CASE(captured_pointer)
{
	auto *state = new inner;
	std::function<void(bool)> end = [state](bool properly) {
		if (properly)
			delete state;
	};

	end(!bad);
}
