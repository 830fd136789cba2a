/*
 * Threads with maps of strings of their own, and messages that one allocates and another frees:
 * cppmt KEYS THREADS ROUNDS
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace
{

constexpr size_t queue_max = 5000;

struct message {
	std::string body;
	std::vector<std::string> parts;
};

std::mutex lock;
std::deque<std::unique_ptr<message>> queue;
uint64_t total;

struct worker {
	uint64_t random;
	uint64_t sum = 0;
	unsigned int keys, rounds;

	worker(unsigned int id, unsigned int keys_nr, unsigned int rounds_nr)
	    : random(1469598103934665603ull + id), keys(keys_nr), rounds(rounds_nr)
	{
	}

	uint64_t next_random()
	{
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		return random;
	}

	/* Puts a message into the queue; when that is long, the oldest one ends here. */
	void exchange(const std::string &key)
	{
		auto sent = std::make_unique<message>();
		std::unique_ptr<message> received;

		sent->body = key + key;
		for (size_t i = 0; i < 4; i++)
			sent->parts.emplace_back(20 + i * 7, 'p');
		{
			std::lock_guard<std::mutex> guard(lock);

			queue.push_back(std::move(sent));
			if (queue.size() > queue_max) {
				received = std::move(queue.front());
				queue.pop_front();
			}
		}
		if (received)
			sum += received->body.size();
	}

	void one_round()
	{
		std::map<std::string, std::string> names;
		std::unordered_map<std::string, std::vector<unsigned int>> numbers;

		for (unsigned int i = 0; i < keys; i++) {
			std::string key = "key-" + std::to_string(next_random() % (keys * 2)) +
					  "-with-some-suffix";

			names[key] =
				"value " + std::to_string(i) + std::string(next_random() % 40, 'x');
			numbers[key].push_back(i);
			if (i % 3 == 0) {
				auto at = names.lower_bound(key);

				if (at != names.end() && next_random() % 2)
					names.erase(at);
			}
			if (i % 16 == 0)
				exchange(key);
		}
		sum += names.size() * 31 + numbers.size();
	}

	void operator()()
	{
		for (unsigned int i = 0; i < rounds; i++)
			one_round();
		std::lock_guard<std::mutex> guard(lock);
		total += sum;
	}
};

unsigned int argument(const char *text)
{
	return static_cast<unsigned int>(std::strtoul(text, nullptr, 10));
}

} // namespace

int main(int argc, char **argv)
{
	std::vector<std::thread> threads;

	if (argc != 4) {
		std::fprintf(stderr, "usage: cppmt KEYS THREADS ROUNDS\n");
		return 2;
	}
	for (unsigned int i = 0; i < argument(argv[2]); i++)
		threads.emplace_back(worker(i, argument(argv[1]), argument(argv[3])));
	for (auto &thread : threads)
		thread.join();
	queue.clear();
	std::printf("%u threads done\n", argument(argv[2]));
	return 0;
}
