/*
 * Opens a process as a target and says what it found, as lines "key value…". Then it does what
 * standard input says, a command a line, each answered by one line:
 *
 *   read ADDR LEN      the bytes in hexadecimal, up to the first that cannot be had
 *   word ADDR          one word
 *   sum ADDR LEN       how many bytes could be had, and their sum
 *   resident ADDR LEN  bytes in memory and swapped out
 *   thaw               pause in nanoseconds
 *   again              closes, opens once more
 *
 *   look_target auto|clone|stop|live PID
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "target/maps.h"
#include "target/process.h"
#include "target/target.h"

#define PIECE_BYTES (1u << 20)

static const char *const wishes[] = {"auto", "clone", "stop", "live"};

static void print_words(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		printf("%02x", bytes[i]);
}

static void print_target(struct target *t)
{
	const struct target_how *how = target_how(t);
	const struct target_thread *threads;
	const struct maps *maps = target_maps(t);
	size_t nr;

	threads = target_threads(t, &nr);
	printf("kind %s\nconsistent %d\npause_ns %" PRIu64 "\nwhy %s\n",
	       target_kind_name(how->kind), how->consistent, how->pause_ns, how->why);
	printf("word_bytes %u\nmaps %zu\nthreads %zu\n", target_word_bytes(t), maps->nr, nr);
	for (size_t i = 0; i < nr; i++) {
		printf("thread %" PRId32 " %d %" PRIx64 " %" PRIx64 " %" PRIx64 " ", threads[i].tid,
		       threads[i].has_registers, threads[i].pc, threads[i].sp, threads[i].tp);
		print_words(threads[i].registers, threads[i].registers_bytes);
		printf(" %s\n", threads[i].name);
	}
	printf("ready\n");
}

static void answer_read(struct target *t, uint64_t addr, size_t len)
{
	uint8_t *bytes = mem_alloc(len);

	print_words(bytes, target_read(t, addr, bytes, len));
	printf("\n");
	free(bytes);
}

static void answer_sum(struct target *t, uint64_t addr, uint64_t len)
{
	uint8_t *bytes = mem_alloc(PIECE_BYTES);
	uint64_t done = 0, sum = 0;

	while (done < len) {
		size_t piece = len - done < PIECE_BYTES ? (size_t)(len - done) : PIECE_BYTES;
		size_t got = target_read(t, addr + done, bytes, piece);

		for (size_t i = 0; i < got; i++)
			sum += bytes[i];
		done += got;
		if (got < piece)
			break;
	}
	printf("%" PRIu64 " %" PRIu64 "\n", done, sum);
	free(bytes);
}

static int open_and_print(int32_t pid, const struct target_options *o, struct target **ret)
{
	struct error e = {0};
	int r = target_open_pid(pid, o, ret, &e);

	if (r < 0)
		printf("error %s\nhint %s\nready\n", e.message, e.hint);
	else
		print_target(*ret);
	fflush(stdout);
	return r;
}

static void answer(struct target *t, const char *line)
{
	struct target_residency r;
	uint64_t addr = 0, len = 0, word;
	char command[16];

	if (sscanf(line, "%15s %" SCNx64 " %" SCNu64, command, &addr, &len) < 1)
		return;
	if (!strcmp(command, "read"))
		answer_read(t, addr, (size_t)len);
	else if (!strcmp(command, "sum"))
		answer_sum(t, addr, len);
	else if (!strcmp(command, "word"))
		printf("%" PRIx64 "\n", target_read_word(t, addr, &word) ? word : 0);
	else if (!strcmp(command, "resident") && !target_residency(t, addr, addr + len, &r))
		printf("%" PRIu64 " %" PRIu64 "\n", r.resident_bytes, r.swapped_bytes);
	else
		printf("?\n");
}

int main(int argc, char **argv)
{
	struct target_options options = {.wish = TARGET_WISH_AUTO};
	struct target *t = NULL;
	char line[256];
	int r;

	if (argc != 3)
		return EXIT_USAGE;
	for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
		if (!strcmp(argv[1], wishes[i]))
			options.wish = (enum target_wish)i;
	}
	r = open_and_print(atoi(argv[2]), &options, &t);
	while (r >= 0 && fgets(line, sizeof(line), stdin)) {
		if (!strncmp(line, "again", 5)) {
			target_close(t);
			t = NULL;
			r = open_and_print(atoi(argv[2]), &options, &t);
			continue;
		}
		if (!strncmp(line, "thaw", 4)) {
			target_thaw(t);
			printf("%" PRIu64 "\n", target_how(t)->pause_ns);
		} else {
			answer(t, line);
		}
		fflush(stdout);
	}
	target_close(t);
	return r < 0 ? EXIT_TARGET : EXIT_DONE;
}
