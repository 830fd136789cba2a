/* The entry of the stub, and the list of flagged images; see flags_stub.h. */
#include "flags_stub.h"

#include <elf.h>
#include <stdbool.h>
#include <time.h>

#include "bytes.h"
#include "sys.h"

/* A piece of the list, [p, end). */
struct text {
	const char *p, *end;
};

/* The next line, without its end. A last line without one was cut off: it does not count. */
static bool next_line(struct text *rest, struct text *ret)
{
	const char *p = rest->p;

	while (p < rest->end && *p != '\n')
		p++;
	if (p == rest->end)
		return false;
	*ret = (struct text){rest->p, p};
	rest->p = p + 1;
	return true;
}

/* Takes one word and the blank behind it. */
static struct text next_word(struct text *line)
{
	struct text word = {line->p, line->p};

	while (word.end < line->end && *word.end != ' ')
		word.end++;
	line->p = word.end < line->end ? word.end + 1 : word.end;
	return word;
}

static bool is(struct text t, const char *s)
{
	size_t len = text_length(s);

	return (size_t)(t.end - t.p) == len && bytes_equal(t.p, s, len);
}

static bool parse_seconds(struct text t, uint64_t *ret)
{
	uint64_t n = 0;

	if (t.p == t.end || t.end - t.p > 18)
		return false;
	for (; t.p < t.end; t.p++) {
		if (*t.p < '0' || *t.p > '9')
			return false;
		n = n * 10 + (uint64_t)(*t.p - '0');
	}
	*ret = n;
	return true;
}

static uint64_t now_seconds(void)
{
	struct timespec ts = {0};

	sys2(SYS_clock_gettime, CLOCK_REALTIME, (long)&ts);
	return (uint64_t)ts.tv_sec;
}

static const char *base_of(const char *path)
{
	const char *base = path;

	for (; *path; path++)
		if (*path == '/')
			base = path + 1;
	return base;
}

/* "ust SINCE UNTIL MODE path|name IMAGE" */
static bool line_matches(struct text line, const char *exe)
{
	struct text until, kind;
	uint64_t seconds;

	if (!is(next_word(&line), "ust"))
		return false;
	next_word(&line);
	until = next_word(&line);
	next_word(&line);
	kind = next_word(&line);
	if (!(is(kind, "path") && is(line, exe)) && !(is(kind, "name") && is(line, base_of(exe))))
		return false;
	return parse_seconds(until, &seconds) && now_seconds() < seconds;
}

static void take_recorder(struct text line, struct start *s)
{
	size_t len;

	if (!is(next_word(&line), "recorder"))
		return;
	len = (size_t)(line.end - line.p);
	if (!len || len >= sizeof(s->recorder))
		return;
	bytes_copy(s->recorder, line.p, len);
	s->recorder[len] = '\0';
}

static bool is_flagged(struct text list, struct start *s)
{
	const size_t magic = sizeof(FLAGS_MAGIC) - 1;
	bool flagged = false;
	struct text line;

	if ((size_t)(list.end - list.p) < magic || !bytes_equal(list.p, FLAGS_MAGIC, magic))
		return false;
	list.p += magic;
	s->recorder[0] = '\0';
	while (next_line(&list, &line)) {
		take_recorder(line, s);
		flagged = flagged || line_matches(line, s->exe);
	}
	return flagged && s->recorder[0] == '/';
}

/* Bytes read; 0: no list, an empty one, or one that is too long. */
static long read_list(char *to)
{
	long fd = sys_open_read(FLAGS_FILE), len;

	if (fd < 0)
		return 0;
	len = sys3(SYS_read, fd, (long)to, FLAGS_BYTES_MAX);
	sys1(SYS_close, fd);
	return len > 0 && len < FLAGS_BYTES_MAX ? len : 0;
}

static __attribute__((noinline)) void look(struct start *s)
{
	char list[FLAGS_BYTES_MAX];
	long bytes = read_list(list), len;

	if (!bytes)
		return;
	len = sys3(SYS_readlink, (long)"/proc/self/exe", (long)s->exe, sizeof(s->exe));
	if (len <= 0 || len >= (long)sizeof(s->exe))
		return;
	s->exe[len] = '\0';
	if (is_flagged((struct text){list, list + bytes}, s))
		flags_exec(s);
}

/*
 * DT_INIT. The loader hands main's three arguments to it; behind the environment the kernel has put
 * the auxiliary vector. (Loaded later, by dlopen(), we have no business here: the environment may
 * have moved by then.)
 */
void flags_stub_init(int argc, char **argv, char **envp);
__attribute__((visibility("hidden"))) void flags_stub_init(int argc, char **argv, char **envp)
{
	const Elf64_auxv_t *aux;
	struct start s;
	char **p = envp;

	if (!argv || envp != argv + argc + 1)
		return;
	while (*p)
		p++;
	s.argc = argc;
	s.argv = argv;
	s.envp = envp;
	s.execfn = NULL;
	for (aux = (const Elf64_auxv_t *)(p + 1); aux->a_type != AT_NULL; aux++) {
		/* With privileges of another user nothing is preloaded, whoever asks for it. */
		if (aux->a_type == AT_SECURE && aux->a_un.a_val)
			return;
		if (aux->a_type == AT_EXECFN)
			s.execfn = (const char *)aux->a_un.a_val;
	}
	if (s.execfn)
		look(&s);
}
