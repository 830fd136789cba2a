/*
 * C++ for the symbolizer: namespaces, templates, a constructor inlined into its caller, a lambda;
 * and enough of the standard library to have thousands of inlined calls. Prints like sym_inline.c.
 */
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <link.h>
#include <map>
#include <memory>
#include <string>
#include <vector>

static int find_bias(struct dl_phdr_info *info, size_t, void *arg)
{
	*static_cast<uintptr_t *>(arg) = info->dlpi_addr;
	return 1;
}

__attribute__((noinline)) void note(const char *label)
{
	uintptr_t bias = 0;

	dl_iterate_phdr(find_bias, &bias);
	printf("%s %#lx\n", label, (unsigned long)((uintptr_t)__builtin_return_address(0) - bias));
}

namespace shop
{

struct Item {
	std::string name;
	int *price;

	__attribute__((always_inline)) Item(const char *text, int value) : name(text)
	{
		price = new int(value);
		note("item"); /* at: item */
	}
};

template <class T> struct Shelf {
	std::map<std::string, std::vector<T>> things;

	__attribute__((noinline)) size_t put(const std::string &key, const T &thing)
	{
		note("put"); /* at: put */
		things[key].push_back(thing);
		return things.size();
	}
};

__attribute__((noinline)) int stock(Shelf<double> &shelf)
{
	Item item("nail", 3); /* at: stock */
	auto count = [&](int n) __attribute__((noinline))
	{
		note("lambda"); /* at: lambda */
		return n + *item.price;
	};

	return (int)shelf.put(item.name, 1.5) + count(4);
}

} // namespace shop

int main(int argc, char **argv)
{
	shop::Shelf<double> shelf;
	std::vector<std::unique_ptr<std::string>> words;
	std::map<int, std::string> sorted;
	int total = shop::stock(shelf);

	for (int i = 0; i < argc; i++)
		words.push_back(std::make_unique<std::string>(argv[i]));
	std::sort(words.begin(), words.end(), [](auto &a, auto &b) { return *a < *b; });
	for (auto &w : words)
		sorted[(int)w->size()] += *w + std::to_string(total);
	return sorted.empty();
}
