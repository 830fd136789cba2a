/* Code and threads that come and go: modules at the same address, destructors at the very end. */
#include "adv.h"

#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <pthread.h>
#include <thread>
#include <vector>

#include "../victims/plugin.h"

/* --- Two modules, the same instructions at the same address, frames of different sizes. */

static void leaked(void *block, size_t)
{
	/* Freed at once: here only the stacks matter. */
	free(block);
	counted();
}

static void *run_module(const char *name, int depth)
{
	static const plugin_host host = {leaked};
	char path[4096];

	snprintf(path, sizeof(path), "%s/plugin-%s.so", module_folder, name);
	void *module = dlopen(path, RTLD_NOW);
	if (!module) {
		expect(false, dlerror());
		return nullptr;
	}
	void *where = dlsym(module, "plugin_run");
	for (int i = 0; i < 5; i++) {
		reinterpret_cast<plugin_run_fn *>(where)(&host, depth);
		counted((unsigned int)depth + 1);
	}
	dlclose(module);
	return where;
}

static void modules_at_one_address()
{
	void *before = nullptr;
	bool same = false;

	for (int i = 0; i < 12; i++) {
		void *where = run_module(i % 2 ? "beta" : "alpha", 3 + i / 2 % 3);

		same = same || (where && where == before);
		before = where;
	}
	expect(same, "a module was loaded where another had been");
}

/* The same, while another thread loads and unloads too and a third allocates. */
static void modules_in_threads()
{
	std::vector<std::thread> threads;

	for (int id = 0; id < 2; id++) {
		threads.emplace_back([id] {
			for (int i = 0; i < 20; i++)
				run_module((i + id) % 2 ? "beta" : "alpha", 4);
		});
	}
	threads.emplace_back([] {
		for (int i = 0; i < 20000; i++)
			churn((size_t)(i % 100));
	});
	for (std::thread &thread : threads)
		thread.join();
}

/* --- What runs when a thread ends: after the C++ objects come the keys' destructors. */

struct thread_end {
	char *block = static_cast<char *>(malloc(90));
	~thread_end()
	{
		churn(91);
		free(block);
	}
};

static thread_local thread_end at_thread_end;
static pthread_key_t key;

/* Sets the key again a few times, so that it is called again after everything else is gone. */
static void key_destructor(void *value)
{
	uintptr_t rounds = reinterpret_cast<uintptr_t>(value);

	churn(92 + rounds);
	if (rounds > 1)
		pthread_setspecific(key, reinterpret_cast<void *>(rounds - 1));
}

static void thread_ends()
{
	pthread_key_create(&key, key_destructor);
	for (int i = 0; i < 100; i++) {
		std::thread([] {
			at_thread_end.block[0] = 1;
			counted();
			pthread_setspecific(key, reinterpret_cast<void *>(uintptr_t{3}));
		}).join();
	}
	pthread_key_delete(key);
}

/* A thread that ends by pthread_exit deep down, or is cancelled: unwinding by force. */
static NOINLINE int exit_from(int depth, bool wait)
{
	thread_end guard;
	volatile char room[32];

	counted();
	room[0] = 1;
	if (depth > 0)
		return exit_from(depth - 1, wait) + room[0];
	if (depth < 0) /* never: for the compiler, which would call this endless */
		return 0;
	while (wait)
		pthread_testcancel();
	pthread_exit(nullptr);
}

static void *run_exit(void *arg)
{
	exit_from(6, arg != nullptr);
	return nullptr;
}

static void forced_unwinding()
{
	for (int i = 0; i < 60; i++) {
		pthread_t thread;

		if (pthread_create(&thread, nullptr, run_exit, i % 2 ? &thread : nullptr) != 0)
			continue;
		if (i % 2)
			pthread_cancel(thread);
		pthread_join(thread, nullptr);
	}
}

/* --- What runs when the program ends, after this case has long been counted. */

struct program_end {
	~program_end()
	{
		churn(95);
	}
};

static void at_exit_handler()
{
	for (int i = 0; i < 10; i++)
		churn(96);
}

static void program_ends()
{
	static program_end at_program_end;

	touch(&at_program_end);
	churn(97);
	expect(atexit(at_exit_handler) == 0, "atexit works");
}

const adversarial_case lifetime_cases[] = {
	{"modules_at_one_address", modules_at_one_address},
	{"modules_in_threads", modules_in_threads},
	{"thread_ends", thread_ends},
	{"forced_unwinding", forced_unwinding},
	{"program_ends", program_ends},
	{nullptr, nullptr},
};
