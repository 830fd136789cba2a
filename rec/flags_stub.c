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

/*
 * "lite", "off", "sample=512K": the number is a power of two below 1024. False: of a later seep,
 * and not to be guessed.
 */
static bool parse_mode(struct text t, struct start *s)
{
	static const char sample[] = "sample=";
	uint64_t unit = 0, n;

	s->mode = is(t, "off") ? WIRE_MODE_OFF : WIRE_MODE_LITE;
	if (is(t, "off") || is(t, "lite"))
		return true;
	if (t.end - t.p < (long)sizeof(sample) || !bytes_equal(t.p, sample, sizeof(sample) - 1))
		return false;
	t.p += sizeof(sample) - 1;
	if (t.end[-1] > '9') {
		t.end--;
		unit = *t.end == 'K' ? 10 : *t.end == 'M' ? 20 : *t.end == 'G' ? 30 : 64;
	}
	if (!parse_seconds(t, &n) || !n || n >= 1024 || n & (n - 1))
		return false;
	s->mode = WIRE_MODE_SAMPLE;
	s->bits = (uint32_t)((uint64_t)__builtin_ctzll(n) + unit);
	return s->bits <= WIRE_SAMPLE_BITS_MAX;
}

/* "unit NAME IMAGE": is it the unit that systemd starts us for? */
static bool unit_matches(struct text line, const struct start *s)
{
	struct text name = next_word(&line);

	for (char **p = s->envp; *p; p++)
		if (text_starts(*p, FLAGS_UNIT))
			return is(name, *p + sizeof(FLAGS_UNIT) - 1) && is(line, s->exe);
	return false;
}

/* "ust SINCE UNTIL MODE path|name IMAGE", or "… unit NAME IMAGE" */
static bool line_matches(struct text line, struct start *s)
{
	struct text until, mode, kind;
	const char *exe = s->exe;
	uint64_t seconds;

	if (!is(next_word(&line), "ust"))
		return false;
	next_word(&line);
	until = next_word(&line);
	mode = next_word(&line);
	kind = next_word(&line);
	if (!(is(kind, "path") && is(line, exe)) && !(is(kind, "name") && is(line, base_of(exe))) &&
	    !(is(kind, "unit") && unit_matches(line, s)))
		return false;
	return parse_seconds(until, &seconds) && now_seconds() < seconds && parse_mode(mode, s);
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
		flagged = flagged || line_matches(line, s);
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
