/*
 * The beginning: which functions are the real ones, and where the shared mapping comes from.
 *
 * The launcher passes SEEP_REC=VERSION:FD:PID:FOLLOW:SOCKET in the environment. The first image
 * finds the memfd at FD; a program that it becomes by exec, or a child that is followed, asks the
 * launcher for one of its own at the abstract socket SOCKET. Without any of this we only forward.
 *
 * With neither FOLLOW nor SOCKET the process was started by the stub of seep flags, and is its own
 * launcher: FD stays open, as the way in for others, and what the stub has put into the environment
 * is taken away again, so that the program and its children see what they would see without us. The
 * same is done when FOLLOW is 2: the daemon of seep flags, which gives the tables out.
 */
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "bytes.h"
#include "clock.h"
#include "elf_image.h"
#include "hooks.h"
#include "rec.h"
#include "sys.h"
#include "wire/allocator.h"

#define HOOKS_PATIENCE 65536 /* as long as it takes to heal: see record.c */

#ifndef MADV_DONTFORK
#define MADV_DONTFORK 10
#endif

struct gate rec_gate __attribute__((aligned(4096)));
struct places rec_places;
uint64_t rec_allocator_addr;

/* 0: nothing done yet, 1: being done, 2: done, recording or not. Survives fork. */
static uint32_t started;

static struct {
	bool wanted, follow;
	bool alone; /* nobody launched us */
	bool clean; /* the environment is to be as it would be without us */
	long fd, pid;
	char socket[100];
} config;

/* ---- the real functions ---- */

struct function {
	const char *name;
	void **real;
	void *late;
};

static const struct function functions[] = {
#define X(name) {#name, &rec_real_##name, (void *)rec_late_##name},
	REC_FUNCTIONS(X)
#undef X
};

static bool is_ours(struct link_map *lm)
{
	struct elf_image image;

	return elf_image_of(lm, &image) && (uint64_t)&rec_gate >= image.start &&
	       (uint64_t)&rec_gate < image.end;
}

/* after: ourselves; NULL: nothing can be found, and what nobody has is late. */
static void resolve_all(struct link_map *after)
{
	struct link_map *next = after ? after->l_next : NULL;

	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		const struct function *f = &functions[i];
		uint64_t at = 0;

		for (struct link_map *lm = next; lm && !at; lm = lm->l_next)
			at = elf_symbol(lm, f->name);
		*f->real = at ? (void *)at : f->late;
	}
	/* C23 and old names: their meaning is free's, whoever supplies it. */
	if (rec_real_free_sized == (void *)rec_late_free_sized)
		rec_real_free_sized = rec_real_free;
	if (rec_real_free_aligned_sized == (void *)rec_late_free_aligned_sized)
		rec_real_free_aligned_sized = rec_real_free;
	if (rec_real_cfree == (void *)rec_late_cfree)
		rec_real_cfree = rec_real_free;
}

HOOK void *rec_resolve_late(const char *name, uint64_t caller)
{
	struct elf_image image;
	uint64_t at = 0;

	if (elf_image_at(caller, &image) && !is_ours(image.link_map))
		at = elf_symbol(image.link_map, name);
	for (struct link_map *lm = elf_link_maps(); lm && !at; lm = lm->l_next)
		if (!is_ours(lm))
			at = elf_symbol(lm, name);
	if (at)
		return (void *)at;
	if (text_starts(name, "_Znw") || text_starts(name, "_Zna"))
		return rec_real_malloc;
	if (text_starts(name, "_Zdl") || text_starts(name, "_Zda"))
		return rec_real_free;
	if (text_equal(name, "_Fork"))
		return rec_real_fork;
	return (void *)rec_missing;
}

static bool same_module(uint64_t a, uint64_t b)
{
	struct elf_image image;

	return elf_image_at(a, &image) && b >= image.start && b < image.end;
}

/* Does somebody before us in the search order define malloc? Then nobody calls ours. */
static bool is_bypassed(struct link_map *first, struct link_map *ours)
{
	for (struct link_map *lm = first; lm && lm != ours; lm = lm->l_next)
		if (elf_symbol(lm, "malloc"))
			return true;
	return false;
}

static const char *allocator_name(struct link_map **ret_lm)
{
	struct elf_image image;
	const char *path, *base;

	if (!elf_image_at(rec_allocator_addr, &image))
		return "unknown";
	*ret_lm = image.link_map;
	path = base = image.link_map->l_name ? image.link_map->l_name : "";
	if (elf_symbol(image.link_map, "gnu_get_libc_version"))
		return "glibc";
	for (; *path; path++)
		if (*path == '/')
			base = path + 1;
	if (text_starts(base, "libjemalloc"))
		return "jemalloc";
	if (text_starts(base, "libtcmalloc"))
		return "tcmalloc";
	if (text_starts(base, "libmimalloc"))
		return "mimalloc";
	if (text_starts(base, "ld-musl") || text_starts(base, "libc.musl"))
		return "musl";
	return "unknown";
}

/* See rec_strings_record. */
static bool copies_strings(void)
{
	struct link_map *lm;
	const char *name = allocator_name(&lm);

	return !text_equal(name, "glibc") && !text_equal(name, "musl") &&
	       same_module((uint64_t)rec_real_malloc, (uint64_t)rec_real_strdup);
}

/* ---- environment ---- */

static const char *environment(const char *name)
{
	char **env = elf_environment();
	size_t len = text_length(name);

	for (; env && *env; env++)
		if (text_starts(*env, name) && (*env)[len] == '=')
			return *env + len + 1;
	return NULL;
}

static long parse_number(const char **s)
{
	long n = 0;

	while (**s >= '0' && **s <= '9')
		n = n * 10 + (*(*s)++ - '0');
	if (**s == ':')
		(*s)++;
	return n;
}

static void read_config(void)
{
	const char *s = environment("SEEP_REC");
	long follow;

	if (!s || parse_number(&s) != WIRE_VERSION)
		return;
	config.fd = parse_number(&s);
	config.pid = parse_number(&s);
	follow = parse_number(&s);
	config.follow = follow == 1;
	text_copy(config.socket, s, sizeof(config.socket));
	config.alone = !config.follow && !config.socket[0];
	config.clean = config.alone || follow == 2;
	config.wanted = true;
}

/*
 * The stub has put the recorder in front; what was there before stands behind a colon. False: there
 * was nothing.
 */
static bool restore_preload(char *value)
{
	char *rest = value, *base = value;

	for (; *rest && *rest != ':'; rest++)
		if (*rest == '/')
			base = rest + 1;
	if (!text_starts(base, "libseep-rec"))
		return true; /* another one of that name; the loader took ours */
	if (!*rest)
		return false;
	text_copy(value, rest + 1, text_length(rest + 1) + 1);
	return true;
}

/* Takes the stub's variables out of a list of them, in place. */
static void clean_environment(char **env)
{
	char **to = env;

	for (; *env; env++) {
		if (text_starts(*env, "SEEP_REC="))
			continue;
		if (text_starts(*env, "LD_PRELOAD=") &&
		    !restore_preload(*env + sizeof("LD_PRELOAD=") - 1))
			continue;
		*to++ = *env;
	}
	*to = NULL;
}

/* ---- the shared mapping ---- */

/* A memfd of the launcher's at fd that nobody uses yet? Then it is mapped and closed. */
static struct wire_header *map_header(long fd)
{
	struct wire_header *h = sys_mmap(sizeof(*h), PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd);

	if (sys_failed(h))
		return NULL;
	if (h->magic == WIRE_MAGIC && h->version == WIRE_VERSION && h->header_bytes == sizeof(*h) &&
	    h->state == WIRE_STATE_NONE)
		return h;
	sys2(SYS_munmap, (long)h, sizeof(*h));
	return NULL;
}

static bool is_table(long fd)
{
	struct stat st;

	return sys2(SYS_fstat, fd, (long)&st) == 0 && S_ISREG(st.st_mode) &&
	       st.st_size >= (long)sizeof(struct wire_header);
}

/* Asks the launcher for a table of our own. */
static long receive_fd(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov;
	struct msghdr msg = {0};
	struct timeval patience = {.tv_sec = 2};
	size_t len = text_length(config.socket);
	char byte;
	int fd = -1;
	long s;

	if (!len || len + 1 > sizeof(addr.sun_path))
		return -1;
	s = sys3(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (s < 0)
		return -1;
	bytes_copy(addr.sun_path + 1, config.socket, len);
	arch_syscall6(SYS_setsockopt, s, SOL_SOCKET, SO_RCVTIMEO, (long)&patience, sizeof(patience),
		      0);
	arch_syscall6(SYS_setsockopt, s, SOL_SOCKET, SO_SNDTIMEO, (long)&patience, sizeof(patience),
		      0);
	iov = (struct iovec){&byte, 1};
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	msg.msg_control = &control;
	msg.msg_controllen = sizeof(control);
	if (sys3(SYS_connect, s, (long)&addr,
		 (long)(offsetof(struct sockaddr_un, sun_path) + 1 + len)) == 0 &&
	    sys3(SYS_recvmsg, s, (long)&msg, MSG_CMSG_CLOEXEC) > 0 &&
	    msg.msg_controllen >= CMSG_LEN(sizeof(int)) &&
	    control.header.cmsg_level == SOL_SOCKET && control.header.cmsg_type == SCM_RIGHTS)
		bytes_copy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	sys1(SYS_close, s);
	return fd;
}

static void say(struct wire_header *h, const char *text)
{
	text_copy(h->status_error, text, sizeof(h->status_error));
	h->state = WIRE_STATE_FAILED;
}

/* Where address space is limited, at most half of it is ours. */
static uint64_t address_space(void)
{
	struct {
		uint64_t now, max;
	} limit;

	if (arch_syscall6(SYS_prlimit64, 0, 9 /* RLIMIT_AS */, 0, (long)&limit, 0, 0) < 0)
		return ~0ull;
	return limit.now == ~0ull ? ~0ull : limit.now / 2;
}

/* Maps all of it, or less of the live table where address space is limited. */
static uint8_t *map_table(struct wire_header *h, long fd)
{
	uint64_t room = address_space();

	for (uint32_t chunks = h->chunks_cap; chunks >= 2; chunks /= 2) {
		uint64_t bytes = h->chunks_off + chunks * WIRE_CHUNK_BYTES;
		uint8_t *base;

		if (bytes > room)
			continue;
		base = sys_mmap(bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, (int)fd);
		if (sys_failed(base))
			continue;
		h->chunks_cap = chunks;
		return base;
	}
	return NULL;
}

static void set_places(uint8_t *base)
{
	struct wire_header *h = (struct wire_header *)base;

	rec_places = (struct places){
		.base = base,
		.nodes = (struct wire_node *)(base + h->nodes_off),
		.counts = (struct wire_count *)(base + h->counts_off),
		.extra = (struct wire_extra *)(base + h->extra_off),
		.index = (uint64_t *)(base + h->index_off),
		.dense1 = (uint32_t *)(base + h->dense1_off),
		.modules = (struct wire_module *)(base + h->modules_off),
		.undo = (struct wire_undo *)(base + h->undo_off),
		.known = (uint64_t *)(base + h->known_off),
		.rings = base + h->rings_off,
		.chunks = (uint64_t)base + h->chunks_off,
		.marks = (struct wire_mark *)(base + h->marks_off),
		.tags = (struct wire_tag *)(base + h->tags_off),
		.pools = (struct wire_pool_row *)(base + h->pools_off),
		.nodes_cap = h->nodes_cap,
	};
	rec_gate.level1 = (struct wire_level1 *)(base + h->level1_off);
	rec_gate.tables = h;
	for (uint32_t i = WIRE_NODE_UNKNOWN; i < WIRE_NODE_FIRST; i++)
		rec_places.nodes[i].pc = i;
	rec_places.nodes[WIRE_NODE_UNKNOWN].count = COUNT_OF_UNKNOWN;
	h->counts_nr = COUNT_OF_UNKNOWN + 1;
	h->nodes_nr = WIRE_NODE_FIRST;
}

/* Everything is ready: from the next call on we record. */
static void open_gate(struct wire_header *h)
{
	struct link_map *lm = NULL;
	const char *name = allocator_name(&lm);

	text_copy(h->allocator, name, sizeof(h->allocator));
	h->dense_below = wire_dense_below(name);
	h->ordinary_sizes = WIRE_SIZE_ESCAPE - h->dense_below;
	if (h->dense_below)
		__atomic_fetch_or(&h->slow, WIRE_SLOW_FREES, __ATOMIC_RELAXED);
	h->threads_many = !&__libc_single_threaded;
	h->epoch = 1;
	h->pid = (int32_t)sys0(SYS_getpid);
	__atomic_store_n(&h->state, WIRE_STATE_RECORDING, __ATOMIC_RELEASE);
	/* This thread's state now, so that a sandbox entered later sees no system calls of ours. */
	stackmap_learn_main(elf_stack_top());
	thread_get(h);
	__atomic_store_n(&rec_gate.header, h, __ATOMIC_RELEASE);
	told_start();
}

static void begin(long fd)
{
	struct wire_header *head = map_header(fd);
	uint8_t *base;
	uint64_t bytes;

	if (!head)
		return;
	base = map_table(head, fd);
	if (!base)
		say(head, "no room for the tables in the address space (RLIMIT_AS?)");
	else if (sys3(SYS_madvise, (long)&rec_gate, sizeof(rec_gate), 18 /* MADV_WIPEONFORK */) < 0)
		say(head, "this kernel has no MADV_WIPEONFORK (4.14)");
	sys2(SYS_munmap, (long)head, sizeof(*head));
	if (!base || ((struct wire_header *)base)->state == WIRE_STATE_FAILED)
		return;
	bytes = ((struct wire_header *)base)->chunks_off +
		((struct wire_header *)base)->chunks_cap * WIRE_CHUNK_BYTES;
	sys3(SYS_madvise, (long)base, (long)bytes, MADV_DONTFORK);
	sys3(SYS_madvise, (long)base, (long)bytes, 16 /* MADV_DONTDUMP */);
	set_places(base);
	open_gate((struct wire_header *)base);
}

static void session(bool inherited)
{
	long fd = inherited && is_table(config.fd) ? config.fd : -1;
	struct wire_header *h = fd >= 0 ? map_header(fd) : NULL;

	if (h)
		sys2(SYS_munmap, (long)h, sizeof(*h));
	else
		fd = receive_fd();
	if (fd < 0)
		return;
	begin(fd);
	if (config.alone && rec_gate.header)
		sys3(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC);
	else
		sys1(SYS_close, fd);
}

static void note_bypassed(void)
{
	struct wire_header *h = is_table(config.fd) ? map_header(config.fd) : NULL;

	if (!h)
		return;
	h->pid = (int32_t)sys0(SYS_getpid);
	h->state = WIRE_STATE_NOT_USED;
	sys2(SYS_munmap, (long)h, sizeof(*h));
	sys1(SYS_close, config.fd);
}

HOOK void rec_start(void)
{
	struct link_map *first, *ours;
	uint32_t none = 0;

	if (!__atomic_compare_exchange_n(&started, &none, 1, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_ACQUIRE)) {
		while (__atomic_load_n(&started, __ATOMIC_ACQUIRE) == 1)
			sys0(SYS_sched_yield);
		return;
	}
	first = ours = elf_link_maps();
	while (ours && !is_ours(ours))
		ours = ours->l_next;
	resolve_all(ours);
	clock_find();
	rec_allocator_addr = (uint64_t)rec_real_malloc;
	rec_new_records = rec_real__Znwm != (void *)rec_late__Znwm;
	rec_delete_records =
		rec_new_records && same_module((uint64_t)rec_real_malloc, (uint64_t)rec_real__Znwm);
	rec_strings_record = copies_strings();
	read_config();
	if (config.wanted && (config.follow || config.pid == sys0(SYS_getpid))) {
		if (is_bypassed(first, ours))
			note_bypassed();
		else
			session(config.pid == sys0(SYS_getpid));
		if (config.clean)
			clean_environment(elf_environment());
		if (config.alone)
			clock_start();
	}
	__atomic_store_n(&started, 2, __ATOMIC_RELEASE);
}

/* In a fork child that is to be followed: tables of its own. */
static bool child_start(void)
{
	static uint32_t child_of;
	uint32_t pid = (uint32_t)sys0(SYS_getpid),
		 seen = __atomic_load_n(&child_of, __ATOMIC_RELAXED);

	if (seen == pid || !__atomic_compare_exchange_n(&child_of, &seen, pid, false,
							__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return false;
	self_set((struct self){0});
	modules_forget(); /* the new table knows of none */
	session(false);
	return rec_gate.header != NULL;
}

/*
 * Is the hook that the fork has interrupted still to end? One that a jump has left, as its thread's
 * state says for a while, does not, and then the stack may have grown since: so, not for ever.
 */
static bool is_in_hook(void)
{
	static uint32_t asked;
	const struct wire_thread *w = rec_gate.tables ? self_wire() : NULL;

	return w && w->busy && arch_stack_pointer() < w->hook_sp && asked++ < HOOKS_PATIENCE;
}

bool rec_wake(void)
{
	if (__atomic_load_n(&started, __ATOMIC_ACQUIRE) != 2 || !config.wanted || !config.follow)
		return false;
	if (is_in_hook())
		return false;
	return child_start();
}

/*
 * Nobody may have called malloc yet; the program's own first call should not pay for the start.
 * glibc's loader tells constructors what main() will be told; musl's does not, and is its own C
 * library.
 */
__attribute__((constructor)) static void at_load(int argc, char **argv, char **environment)
{
	(void)argc;
	(void)argv;
	elf_given_environment = environment;
	rec_start();
}
