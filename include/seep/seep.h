/*
 * seep.h: what a program can tell seep about its own memory. C99 or C++98, gcc or clang, Linux.
 *
 * Nothing is linked and nothing is needed: without seep's recorder in the process every function
 * here is a load, a test and a return. With it (seep run, seep flags, seep attach) they do what
 * they say. All of them may be called from any thread, and from signal handlers. Names are copied.
 *
 *   seep_mark("warmed up");               a named instant: what is younger, what is older?
 *
 *   seep_tag_begin("request");            what this thread allocates until the end of the scope
 *   ...                                   has a frame [request] at the outer end of its stacks;
 *   seep_tag_end();                       scopes nest
 *
 *   char *chunk = malloc(65536);          a pool: blocks of the program's own making.
 *   seep_pool_create(pool, "strings");    A pool's name may be NULL. pool is any address that is
 *   seep_pool_alloc(pool, p, 24);         the pool's own as long as it lives.
 *   seep_pool_free(pool, p);
 *   seep_pool_reset(pool);                frees all of its blocks
 *   seep_pool_destroy(pool);              and the pool; its chunks go back by free()
 *
 * A pool's blocks are counted at the code that called seep_pool_alloc(); the bytes that they take
 * are taken off what was allocated as their chunk, so that no byte counts twice. Tell of a block
 * after it was taken and before it is given back, as malloc and free are told of.
 *
 * Other languages: a recorder that was there from the start (seep run, seep flags) exports the same
 * functions as seep_rec_mark(), seep_rec_tag_begin() and so on, to be found by dlsym(RTLD_DEFAULT,
 * ...); when it was not, they are not there. In Python:
 *
 *   import ctypes
 *   mark = getattr(ctypes.CDLL(None), "seep_rec_mark", lambda name: None)
 *   mark(b"warmed up")
 *
 * Licence: MIT, as all of seep.
 */
#ifndef SEEP_SEEP_H
#define SEEP_SEEP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SEEP_FUNCTIONS_VERSION 1

/* What the recorder supplies. Later versions only append; bytes says how much there is. */
struct seep_functions {
	uint32_t version, bytes;
	void (*mark)(const char *name);
	void (*tag_begin)(const char *name);
	void (*tag_end)(void);
	void (*pool_create)(const void *pool, const char *name);
	void (*pool_alloc)(const void *pool, const void *block, size_t bytes);
	void (*pool_free)(const void *pool, const void *block);
	void (*pool_reset)(const void *pool);
	void (*pool_destroy)(const void *pool);
};

/*
 * One in each module that uses this header. Whoever brings a recorder finds it by the ELF note
 * below, which stripping leaves, and stores the address of its functions into it; who takes the
 * recorder away stores NULL and waits until no thread is inside.
 *
 *   section .note.seep: owner "seep", type 1, description: 8 bytes, signed: from where they are to
 *   the struct. A module has a note for each of its source files; they point to the same struct.
 */
#define SEEP_HOOKS_MAGIC0 0x70656573u /* "seep" */
#define SEEP_HOOKS_MAGIC1 0x6b6f6f68u /* "hook" */
#define SEEP_NOTE_OWNER "seep"
#define SEEP_NOTE_TYPE 1

struct seep_hooks {
	uint32_t magic[2];
	uint32_t version; /* of struct seep_functions, that this program was built for */
	uint32_t reserved;
	const struct seep_functions *functions; /* atomic; NULL: no recorder */
};

/* There is no recorder for other programs. SEEP_DISABLE: the functions are to do nothing. */
#if defined(__linux__) && defined(__ELF__) && defined(__LP64__) && defined(__GNUC__) &&            \
	!defined(SEEP_DISABLE)

extern struct seep_hooks seep_program_hooks;
__attribute__((weak, visibility("hidden"), used)) struct seep_hooks seep_program_hooks = {
	{SEEP_HOOKS_MAGIC0, SEEP_HOOKS_MAGIC1}, SEEP_FUNCTIONS_VERSION, 0, NULL};

__asm__(".pushsection .note.seep,\"a\",%note\n"
	".balign 4\n"
	".long 5, 8, 1\n"
	".asciz \"seep\"\n"
	".balign 4\n"
	"9077: .quad seep_program_hooks - 9077b\n"
	".popsection\n");

#ifdef __PIC__
/*
 * A library that is loaded later introduces itself; NULL without the preloaded recorder. An
 * injected one looks for the note when the library first appears in the stack of an allocation.
 */
extern void seep_rec_join(struct seep_hooks *hooks) __attribute__((weak));
__attribute__((constructor, unused)) static void seep_join(void)
{
	if (seep_rec_join)
		seep_rec_join(&seep_program_hooks);
}
#endif

static __inline__ __attribute__((unused)) const struct seep_functions *seep_functions(void)
{
	return __atomic_load_n(&seep_program_hooks.functions, __ATOMIC_ACQUIRE);
}

#define SEEP_CALL(function, arguments)                                                             \
	do {                                                                                       \
		const struct seep_functions *seep_f = seep_functions();                            \
		if (__builtin_expect(seep_f != NULL, 0))                                           \
			seep_f->function arguments;                                                \
	} while (0)
#define SEEP_INLINE static __inline__ __attribute__((unused))

#else

#define SEEP_CALL(function, arguments)                                                             \
	do {                                                                                       \
	} while (0)
#define SEEP_INLINE static __inline__

#endif

SEEP_INLINE void seep_mark(const char *name)
{
	(void)name;
	SEEP_CALL(mark, (name));
}

SEEP_INLINE void seep_tag_begin(const char *name)
{
	(void)name;
	SEEP_CALL(tag_begin, (name));
}

SEEP_INLINE void seep_tag_end(void)
{
	SEEP_CALL(tag_end, ());
}

SEEP_INLINE void seep_pool_create(const void *pool, const char *name)
{
	(void)pool;
	(void)name;
	SEEP_CALL(pool_create, (pool, name));
}

SEEP_INLINE void seep_pool_alloc(const void *pool, const void *block, size_t bytes)
{
	(void)pool;
	(void)block;
	(void)bytes;
	SEEP_CALL(pool_alloc, (pool, block, bytes));
}

SEEP_INLINE void seep_pool_free(const void *pool, const void *block)
{
	(void)pool;
	(void)block;
	SEEP_CALL(pool_free, (pool, block));
}

SEEP_INLINE void seep_pool_reset(const void *pool)
{
	(void)pool;
	SEEP_CALL(pool_reset, (pool));
}

SEEP_INLINE void seep_pool_destroy(const void *pool)
{
	(void)pool;
	SEEP_CALL(pool_destroy, (pool));
}

#undef SEEP_CALL
#undef SEEP_INLINE

#ifdef __cplusplus
}

/* A tag from here to the end of the C++ scope. */
class seep_tag_scope
{
      public:
	explicit seep_tag_scope(const char *name)
	{
		seep_tag_begin(name);
	}
	~seep_tag_scope()
	{
		seep_tag_end();
	}

      private:
	seep_tag_scope(const seep_tag_scope &);
	seep_tag_scope &operator=(const seep_tag_scope &);
};
#endif

#endif
