/* inject/entries, inject/symbols: processes and files that are nonsense do no harm. */
#include <fcntl.h>
#include <link.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "inject/symbols.h"
#include "target/target.h"

#include "entries_check.h"
#include "inject_lab.h"

static struct inject_lab lab;

static int setup(void **state)
{
	(void)state;
	inject_lab_open(&lab);
	inject_lab_write(&lab, "sayer.c", inject_lab_sayer);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	inject_lab_close(&lab);
	return 0;
}

/* A process whose loader's lists and symbol tables are nonsense. */
static void scribble(uint32_t seed)
{
	struct link_map *lm = _r_debug.r_map;

	for (; lm; lm = lm->l_next) {
		uint64_t *table = NULL;

		for (ElfW(Dyn) *d = lm->l_ld; d && d->d_tag; d++) {
			if (d->d_tag == (seed % 3 == 0	 ? DT_GNU_HASH
					 : seed % 3 == 1 ? DT_SYMTAB
							 : DT_STRTAB))
				table = (void *)d->d_un.d_ptr;
		}
		if (!table || !*lm->l_name || *lm->l_name == 'l')
			continue; /* the program's, whose own calls are still to come; [vdso] */
		for (int i = 0; i < 40; i++) {
			uintptr_t at = (uintptr_t)table + seed % 4096;

			if (mprotect((void *)(at & ~(uintptr_t)4095), 8192,
				     PROT_READ | PROT_WRITE | PROT_EXEC))
				break;
			memcpy((void *)at, &seed, sizeof(seed));
			seed = seed * 1664525 + 1013904223;
		}
		if (!mprotect((void *)((uintptr_t)table & ~(uintptr_t)4095), 4096,
			      PROT_READ | PROT_WRITE | PROT_EXEC))
			((volatile uint32_t *)table)[seed % 4] = seed;
		seed = seed * 1664525 + 1013904223;
	}
	if (seed % 2)
		_r_debug.r_map->l_next = _r_debug.r_map;
}

static void test_nonsense_in_memory(void **state)
{
	const struct target_options live = {.wish = TARGET_WISH_LIVE};
	char c = 0;

	(void)state;
	for (uint32_t seed = 1; seed < 40; seed++) {
		struct entries e = ENTRIES_INIT;
		struct target *t;
		struct error error;
		int ready[2];
		pid_t pid;

		assert_int_equal(pipe(ready), 0);
		pid = fork();
		if (pid == 0) {
			signal(SIGSEGV, SIG_DFL);
			scribble(seed * 2654435761u);
			/* No call that would have to be looked up. */
			__asm__ volatile("syscall" ::"a"(1), "D"(ready[1]), "S"(&c), "d"(1)
					 : "rcx", "r11", "memory");
			for (;;)
				__asm__ volatile("syscall" ::"a"(34) : "rcx", "r11", "memory");
		}
		close(ready[1]);
		assert_int_equal(read(ready[0], &c, 1), 1);
		close(ready[0]);
		if (target_open_pid(pid, &live, &t, &error) == 0) {
			if (entries_find(t, &e, &error) == 0)
				check_list(&e);
			entries_release(&e);
			target_close(t);
		}
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

static void count_symbol(void *arg, const struct symbol *s)
{
	*(size_t *)arg += strlen(s->name) > 0;
}

static void test_nonsense_in_file(void **state)
{
	uint32_t random = 1;
	size_t nr = 0, bytes;
	struct stat st;
	uint8_t *copy;
	int fd, made;

	(void)state;
	if (!inject_lab_sh(&lab, "gcc -O1 -w -fno-builtin sayer.c -o small -ldl"))
		skip();
	fd = open(lab.dir, O_RDONLY | O_DIRECTORY);
	made = openat(fd, "small", O_RDONLY);
	close(fd);
	assert_int_equal(fstat(made, &st), 0);
	bytes = (size_t)st.st_size;
	copy = mem_alloc(bytes);
	assert_int_equal(read(made, copy, bytes), bytes);
	close(made);
	for (int round = 0; round < 3000; round++) {
		uint8_t *bad = mem_alloc(bytes);
		size_t len = round % 7 ? bytes : random % bytes;

		memcpy(bad, copy, bytes);
		for (int i = 0; i < 8; i++) {
			const Elf64_Ehdr *h = (const void *)copy;
			size_t headers = h->e_shoff, at;

			random = random * 1664525 + 1013904223;
			at = i % 3 == 0 ? random % 64 : headers + random % (bytes - headers);
			random = random * 1664525 + 1013904223;
			bad[at] = (uint8_t)(random >> 24);
		}
		fd = memfd_create("bad", MFD_CLOEXEC);
		assert_int_equal(write(fd, bad, len), len);
		symbols_each(fd, NULL, count_symbol, &nr);
		close(fd);
		free(bad);
	}
	free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nonsense_in_memory),
		cmocka_unit_test(test_nonsense_in_file),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
