/*
 * Blocks that the C and C++ libraries hold for themselves, by what points to them: thread caches,
 * the vectors that lead threads to their thread-local memory, that memory itself where a module was
 * loaded later, open FILEs with their buffers, the loader's records of modules, libstdc++'s reserve
 * for exceptions.
 *
 * Layouts: sysdeps/generic/dl-dtv.h (glibc 2.17 on), libio/bits/types/struct_FILE.h,
 * libsupc++/eh_alloc.cc (gcc 5 on).
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "heap/dynsym.h"
#include "heap/glibc.h"

#define MODULES_MAX 4096	     /* of a thread's vector */
#define TLS_NEAR ((uint64_t)1 << 20) /* of the thread pointer: memory of its own */
#define DYNAMIC_MAX 512		     /* entries of a dynamic section */
#define NAMESPACES_MAX 64	     /* of the loader */
#define FILES_MAX 65536		     /* open FILEs */
#define FILE_MAGIC 0xfbad0000u
#define POOL_LEAST 0x4000u /* bytes of the reserve for exceptions */
#define POOL_MOST 0x40000u
#define POOL_SCAN ((uint64_t)4 << 20) /* data of a module looked through for it */

static void add_name(struct glibc_state *s, uint64_t addr, const char *what)
{
	ARRAY_PUSH(s->names, s->nr_names, s->cap_names,
		   ((struct glibc_name){.addr = addr, .what = what}));
}

static bool in_heap(const struct glibc_state *s, uint64_t addr)
{
	for (size_t i = 0; i < s->nr; i++)
		if (glibc_piece_of(&s->libs[i], addr, NULL))
			return true;
	return glibc_direct_of(s, addr) != NULL;
}

/* The vector of a thread: a counter in front, then { value, what to free } for each module. */
static void name_vector(struct glibc_state *s, struct target *t, uint64_t tp)
{
	unsigned int word = target_word_bytes(t);
	bool arm = target_machine(t) == EM_AARCH64 || target_machine(t) == EM_ARM;
	uint64_t vector, nr, block;

	if (!scatter_word(&s->memory, arm ? tp : tp + word, &vector) || vector < GLIBC_PAGE ||
	    !scatter_word(&s->memory, vector - 2 * word, &nr) || nr > MODULES_MAX)
		return;
	if (in_heap(s, vector - 2 * word))
		add_name(s, vector - 2 * word, "thread's vector of modules");
	for (uint64_t i = 1; i <= nr; i++) {
		uint64_t value;

		if (!scatter_word(&s->memory, vector + 2 * i * word, &value) ||
		    !scatter_word(&s->memory, vector + (2 * i + 1) * word, &block))
			break;
		if (block >= GLIBC_PAGE && in_heap(s, block))
			add_name(s, block, "thread-local memory");
		if (s->vector_module == 0 && value - tp + TLS_NEAR < 2 * TLS_NEAR) {
			s->vector_module = i;
			s->vector_offset = value - tp;
		}
	}
}

bool glibc_is_vector(struct glibc_state *s, const struct glibc *g, uint64_t addr, uint64_t nr,
		     uint64_t chunk_bytes)
{
	uint16_t machine = target_machine(g->target);
	bool arm = machine == EM_AARCH64 || machine == EM_ARM;
	unsigned int word = g->word;
	uint64_t value, back, tp;

	if (s->vector_module == 0 || nr < s->vector_module || nr > MODULES_MAX ||
	    !glibc_fits_request(g, chunk_bytes, (nr + 2) * 2 * word) ||
	    !scatter_word(&s->memory, addr + 2 * (s->vector_module + 1) * word, &value))
		return false;
	/* The thread's control block is still there, in the stack that is kept for the next one. */
	tp = value - s->vector_offset;
	return scatter_word(&s->memory, arm ? tp : tp + word, &back) && back == addr + 2 * word;
}

/* The FILEs of a chain, the three standard ones included. */
static void name_files(struct glibc_state *s, const struct glibc *g, uint64_t file)
{
	for (unsigned int i = 0; file && i < FILES_MAX; i++) {
		uint64_t buffer;
		uint32_t flags;

		if (!scatter_int(&s->memory, file, &flags) || (flags & 0xffff0000u) != FILE_MAGIC)
			return;
		if (in_heap(s, file))
			add_name(s, file, "stdio FILE");
		if (scatter_word(&s->memory, file + 7 * g->word, &buffer) && in_heap(s, buffer))
			add_name(s, buffer, "stdio buffer");
		if (!scatter_word(&s->memory, file + 13 * g->word, &file))
			return;
	}
}

static void name_stdio(struct glibc_state *s, const struct glibc *g)
{
	static const char *const standard[] = {"_IO_2_1_stdin_", "_IO_2_1_stdout_",
					       "_IO_2_1_stderr_"};
	struct dynsym d;
	uint64_t at, file;

	if (!g->module || !dynsym_open(&d, &s->memory, g->word, g->module))
		return;
	if (dynsym_find(&d, "_IO_list_all", &at, NULL) && scatter_word(&s->memory, at, &file))
		name_files(s, g, file);
	for (size_t i = 0; i < 3; i++)
		if (dynsym_find(&d, standard[i], &at, NULL))
			name_files(s, g, at);
}

/* { first free entry, start, size } with the start a block of the heap that has this size. */
static bool is_pool(struct glibc_state *s, unsigned int word, uint64_t at, uint64_t *ret)
{
	uint64_t entry, start, size, head;

	if (!scatter_word(&s->memory, at, &entry) || !scatter_word(&s->memory, at + word, &start) ||
	    !scatter_word(&s->memory, at + 2 * word, &size))
		return false;
	if (size < POOL_LEAST || size > POOL_MOST || start < GLIBC_PAGE || start % word ||
	    (entry && (entry < start || entry >= start + size)) || !in_heap(s, start) ||
	    !scatter_word(&s->memory, start - word, &head))
		return false;
	head &= ~(uint64_t)CHUNK_FLAGS;
	*ret = start;
	return head > size && head - size <= 32;
}

static void name_pool(struct glibc_state *s, struct target *t, const struct target_module *module)
{
	const struct maps *maps = target_maps(t);
	unsigned int word = target_word_bytes(t);
	uint64_t block;

	for (size_t i = 0; i < maps->nr; i++) {
		const struct map *m = &maps->items[i];

		if (m->start < module->start || m->start >= module->end ||
		    (m->prot & (MAP_WRITE | MAP_IS_SHARED)) != MAP_WRITE ||
		    m->end - m->start > POOL_SCAN)
			continue;
		for (uint64_t at = m->start; at + 3 * word <= m->end; at += word)
			if (is_pool(s, word, at, &block)) {
				add_name(s, block, "reserve for C++ exceptions");
				return;
			}
	}
}

/* The loader's list of modules in one namespace: { bias, name, dynamic section, next … }. */
static void name_modules(struct glibc_state *s, unsigned int word, uint64_t map)
{
	for (unsigned int i = 0; map && i < MODULES_MAX; i++) {
		uint64_t name;

		if (!scatter_word(&s->memory, map + word, &name))
			return;
		if (in_heap(s, map))
			add_name(s, map, "loader's record of a module");
		if (in_heap(s, name))
			add_name(s, name, "name of a module");
		if (!scatter_word(&s->memory, map + 3 * word, &map))
			return;
	}
}

/*
 * What debuggers are told (elf/link.h, struct r_debug): { version, modules, …, from version 2 on
 * the next namespace }. The program's dynamic section leads there.
 */
static void name_loader(struct glibc_state *s, struct target *t)
{
	const struct target_module *program = target_main_module(t);
	unsigned int word = target_word_bytes(t);
	uint64_t tag = DT_NULL, at = 0, map;
	uint32_t version;

	for (unsigned int i = 0; program && program->dynamic && i < DYNAMIC_MAX; i++) {
		uint64_t entry = program->dynamic + 2ull * i * word;

		if (!scatter_word(&s->memory, entry, &tag) || tag == DT_NULL || tag == DT_DEBUG) {
			scatter_word(&s->memory, entry + word, &at);
			break;
		}
	}
	for (unsigned int i = 0; tag == DT_DEBUG && at && i < NAMESPACES_MAX; i++) {
		if (!scatter_int(&s->memory, at, &version) ||
		    !scatter_word(&s->memory, at + word, &map))
			return;
		name_modules(s, word, map);
		if (version < 2 || !scatter_word(&s->memory, at + 5 * word, &at))
			return;
	}
}

static int compare_names(const void *a, const void *b)
{
	const struct glibc_name *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

void glibc_collect_names(struct glibc_state *s, struct target *t)
{
	size_t nr, kept = 0;
	const struct target_thread *threads = target_threads(t, &nr);
	const struct target_module *modules;

	for (size_t i = 0; i < s->nr; i++) {
		for (size_t k = 0; k < s->libs[i].nr_caches; k++)
			add_name(s, s->libs[i].caches[k].addr, "thread cache");
		name_stdio(s, &s->libs[i]);
	}
	for (size_t i = 0; i < nr; i++)
		if (threads[i].tp)
			name_vector(s, t, threads[i].tp);
	name_loader(s, t);
	modules = target_modules(t, &nr);
	for (size_t i = 0; i < nr; i++)
		if (strstr(modules[i].path, "libstdc++"))
			name_pool(s, t, &modules[i]);
	if (s->nr_names)
		qsort(s->names, s->nr_names, sizeof(*s->names), compare_names);
	for (size_t i = 0; i < s->nr_names; i++)
		if (kept == 0 || s->names[kept - 1].addr != s->names[i].addr)
			s->names[kept++] = s->names[i];
	s->nr_names = kept;
}
