/*
 * The functions of an allocator that the recorder stands in front of, and where each keeps what the
 * recorder must know: the size, the block, the handle.
 *
 * A function here is a meaning, called by the name that most people know it by; the same meaning
 * under another name (tc_malloc, je_malloc, mi_malloc are malloc) is in function_names.c. So one
 * process may have several entries of one function: each allocator's malloc.
 *
 * Arguments are counted from 1, as in "the third argument"; all are integers or pointers.
 */
#ifndef SEEP_INJECT_FUNCTIONS_H
#define SEEP_INJECT_FUNCTIONS_H

/* clang-format off */
/*
 * X(function, shape). At one address two functions of one shape are the same, and the first of them
 * counts (tcmalloc's free is operator delete, too).
 */
#define INJECT_FUNCTIONS(X) \
	X(malloc, ALLOCATES_1) X(calloc, ALLOCATES_12) \
	X(realloc, REALLOCS_1_2) X(reallocarray, REALLOCS_1_23) \
	X(memalign, ALLOCATES_2) X(aligned_alloc, ALLOCATES_2) \
	X(posix_memalign, FILLS_1_3) \
	X(valloc, ALLOCATES_1) X(pvalloc, ALLOCATES_1) \
	X(free, FREES_1) X(cfree, FREES_1) \
	X(free_sized, FREES_1) X(free_aligned_sized, FREES_1) \
	\
	X(_Znwm, ALLOCATES_1) X(_Znam, ALLOCATES_1) \
	X(_ZnwmRKSt9nothrow_t, ALLOCATES_1) X(_ZnamRKSt9nothrow_t, ALLOCATES_1) \
	X(_ZnwmSt11align_val_t, ALLOCATES_1) X(_ZnamSt11align_val_t, ALLOCATES_1) \
	X(_ZnwmSt11align_val_tRKSt9nothrow_t, ALLOCATES_1) \
	X(_ZnamSt11align_val_tRKSt9nothrow_t, ALLOCATES_1) \
	X(_ZdlPv, FREES_1) X(_ZdaPv, FREES_1) X(_ZdlPvm, FREES_1) X(_ZdaPvm, FREES_1) \
	X(_ZdlPvRKSt9nothrow_t, FREES_1) X(_ZdaPvRKSt9nothrow_t, FREES_1) \
	X(_ZdlPvSt11align_val_t, FREES_1) X(_ZdaPvSt11align_val_t, FREES_1) \
	X(_ZdlPvmSt11align_val_t, FREES_1) X(_ZdaPvmSt11align_val_t, FREES_1) \
	X(_ZdlPvSt11align_val_tRKSt9nothrow_t, FREES_1) \
	X(_ZdaPvSt11align_val_tRKSt9nothrow_t, FREES_1) \
	\
	X(mallocx, ALLOCATES_1) X(rallocx, REALLOCS_1_2) X(xallocx, RESIZES_1_2) \
	X(dallocx, FREES_1) X(sdallocx, FREES_1) \
	\
	X(mi_heap_malloc, ALLOCATES_2) X(mi_heap_calloc, ALLOCATES_23) \
	X(mi_heap_realloc, REALLOCS_2_3) X(mi_heap_reallocn, REALLOCS_2_34) \
	X(reallocf, REALLOCS_OR_FREES_1_2) X(mi_heap_reallocf, REALLOCS_OR_FREES_2_3) \
	X(reallocarr, REPLACES_1_23) \
	X(mi_strdup, ALLOCATES_STRING) \
	\
	X(dlclose, CLOSES_1) X(iconv_close, CLOSES_1) X(mlockall, LOCKS_1) \
	X(_dl_find_object, FINDS_OBJECT) X(dl_iterate_phdr, ITERATES_1_2) \
	X(fork, FORKS) X(_Fork, FORKS) X(syscall, SYSTEM_CALLS) \
	\
	/* Only where resources are recorded, and by any name: pairs.h. */ \
	X(acquires, ACQUIRES) X(releases, RELEASES)

/* X(shape): what a function does, and with which of its arguments. */
#define INJECT_SHAPES(X) \
	X(ALLOCATES_1)  /* block or NULL = f(bytes, …) */ \
	X(ALLOCATES_2)  /* block or NULL = f(any, bytes, …) */ \
	X(ALLOCATES_12) /* block or NULL = f(nr, bytes of each, …) */ \
	X(ALLOCATES_23) /* block or NULL = f(any, nr, bytes of each, …) */ \
	X(ALLOCATES_STRING) /* block or NULL = f(…): as long as the string that is in it */ \
	X(FILLS_1_3)    /* 0 or error = f(where the block's address goes, any, bytes) */ \
	X(FREES_1)      /* f(block or NULL, …) */ \
	X(REALLOCS_1_2)  /* block or NULL = f(block or NULL, bytes, …) */ \
	X(REALLOCS_1_23) /* block or NULL = f(block or NULL, nr, bytes of each, …) */ \
	X(REALLOCS_2_3)  /* block or NULL = f(any, block or NULL, bytes, …) */ \
	X(REALLOCS_2_34) /* block or NULL = f(any, block or NULL, nr, bytes of each, …) */ \
	X(REALLOCS_OR_FREES_1_2) /* as REALLOCS_1_2, but when it fails the block is freed */ \
	X(REALLOCS_OR_FREES_2_3) \
	X(REPLACES_1_23) /* 0 or error = f(where the block's address is, nr, bytes of each) */ \
	X(RESIZES_1_2)   /* usable bytes now = f(block, bytes, …); the block stays where it is */ \
	X(LOCKS_1)       /* 0 or error = f(flags); all memory is locked */ \
	X(CLOSES_1)      /* 0 or error = f(handle); modules may be unloaded */ \
	X(FORKS)         /* child, 0 in it, or error = f() */ \
	X(SYSTEM_CALLS)  /* result or error = f(number, …); among others, a fork */ \
	X(ACQUIRES)      /* any = f(…); where the handle is, the entry says */ \
	X(RELEASES)      /* any = f(…), likewise */ \
	X(FINDS_OBJECT)  /* 0 or error = f(address, where the answer goes) */ \
	X(ITERATES_1_2)  /* any = f(what is called for each module, any) */
/* clang-format on */

#ifndef __ASSEMBLER__

#include <stdbool.h>
#include <stddef.h>

#define INJECT_ENUM(function, shape) INJECT_##function,
enum inject_function {
	INJECT_FUNCTIONS(INJECT_ENUM) INJECT_FUNCTIONS_NR,
};
#undef INJECT_ENUM

#define INJECT_ENUM(shape) INJECT_##shape,
enum inject_shape {
	INJECT_SHAPES(INJECT_ENUM) INJECT_SHAPES_NR,
};
#undef INJECT_ENUM

/*
 * Whose function a name is. A name alone proves little (a program may well have a function tc_new
 * of its own), so a module's names count only where it has what makes up such an allocator.
 */
enum inject_family {
	INJECT_FAMILY_C,	/* malloc and free */
	INJECT_FAMILY_CXX,	/* operator new and delete: only beside another family */
	INJECT_FAMILY_JEMALLOC, /* mallocx, sdallocx … */
	INJECT_FAMILY_JE,	/* jemalloc with a prefix: je_malloc … */
	INJECT_FAMILY_RJEM,	/* jemalloc in a Rust program: _rjem_malloc … */
	INJECT_FAMILY_TC,	/* tc_malloc … */
	INJECT_FAMILY_MI,	/* mi_malloc … */
	INJECT_FAMILY_LOADER,	/* dlclose: any C library */
	INJECT_FAMILIES_NR,
};

/* A symbol that stands for a function. */
struct inject_name {
	const char *name;
	enum inject_function function;
	enum inject_family family;
};

extern const struct inject_name inject_names[];
extern const size_t inject_names_nr;

/* The name in inject_names, or NULL. */
const struct inject_name *inject_name_find(const char *name);
/* "malloc"; the blob exports its hooks by these. */
const char *inject_function_name(enum inject_function f);
enum inject_shape inject_function_shape(enum inject_function f);

#endif
#endif
