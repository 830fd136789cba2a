/*
 * By which names functions are exported, and whose they are.
 *
 * From the headers of the allocators: glibc 2.36 and musl 1.2.3 <stdlib.h> and <malloc.h>, C23's
 * free_sized; jemalloc 5.3 <jemalloc/jemalloc.h>; gperftools 2.10 <gperftools/tcmalloc.h>; mimalloc
 * 2.0.9 to 3.4 <mimalloc.h>. The Itanium C++ ABI spells operator new and delete.
 */
#include <string.h>

#include "inject/functions.h"

#define N(name, function, family) {#name, INJECT_##function, INJECT_FAMILY_##family},
#define SAME(function, family) N(function, function, family)

/* What the C library has, under a prefix. */
#define C_FUNCTIONS(prefix, family)                                                                \
	N(prefix##malloc, malloc, family)                                                          \
	N(prefix##calloc, calloc, family)                                                          \
	N(prefix##realloc, realloc, family)                                                        \
	N(prefix##memalign, memalign, family)                                                      \
	N(prefix##aligned_alloc, aligned_alloc, family)                                            \
	N(prefix##posix_memalign, posix_memalign, family)                                          \
	N(prefix##valloc, valloc, family)                                                          \
	N(prefix##pvalloc, pvalloc, family)                                                        \
	N(prefix##free, free, family)                                                              \
	N(prefix##free_sized, free_sized, family)                                                  \
	N(prefix##free_aligned_sized, free_aligned_sized, family)

#define X_FUNCTIONS(prefix, family)                                                                \
	N(prefix##mallocx, mallocx, family)                                                        \
	N(prefix##rallocx, rallocx, family)                                                        \
	N(prefix##xallocx, xallocx, family)                                                        \
	N(prefix##dallocx, dallocx, family)                                                        \
	N(prefix##sdallocx, sdallocx, family)

/* Each of mimalloc's functions with alignment has a variant that aligns an inner address. */
#define ALIGNED(name, function)                                                                    \
	N(name, function, MI)                                                                      \
	N(name##_aligned, function, MI)                                                            \
	N(name##_aligned_at, function, MI)

/* clang-format off */
const struct inject_name inject_names[] = {
	C_FUNCTIONS(, C)
	N(reallocarray, reallocarray, C) N(cfree, cfree, C) N(vfree, free, C)
	N(reallocf, reallocf, C) N(reallocarr, reallocarr, C)

	SAME(_Znwm, CXX) SAME(_Znam, CXX)
	SAME(_ZnwmRKSt9nothrow_t, CXX) SAME(_ZnamRKSt9nothrow_t, CXX)
	SAME(_ZnwmSt11align_val_t, CXX) SAME(_ZnamSt11align_val_t, CXX)
	SAME(_ZnwmSt11align_val_tRKSt9nothrow_t, CXX)
	SAME(_ZnamSt11align_val_tRKSt9nothrow_t, CXX)
	SAME(_ZdlPv, CXX) SAME(_ZdaPv, CXX) SAME(_ZdlPvm, CXX) SAME(_ZdaPvm, CXX)
	SAME(_ZdlPvRKSt9nothrow_t, CXX) SAME(_ZdaPvRKSt9nothrow_t, CXX)
	SAME(_ZdlPvSt11align_val_t, CXX) SAME(_ZdaPvSt11align_val_t, CXX)
	SAME(_ZdlPvmSt11align_val_t, CXX) SAME(_ZdaPvmSt11align_val_t, CXX)
	SAME(_ZdlPvSt11align_val_tRKSt9nothrow_t, CXX)
	SAME(_ZdaPvSt11align_val_tRKSt9nothrow_t, CXX)

	X_FUNCTIONS(, JEMALLOC)
	C_FUNCTIONS(je_, JE) X_FUNCTIONS(je_, JE)
	C_FUNCTIONS(_rjem_, RJEM) X_FUNCTIONS(_rjem_, RJEM)
	/* A Rust program's jemalloc may have one prefix more for its own calls. */
	C_FUNCTIONS(_rjem_je_, RJEM) X_FUNCTIONS(_rjem_je_, RJEM)

	C_FUNCTIONS(tc_, TC)
	N(tc_malloc_skip_new_handler, malloc, TC) N(tc_cfree, cfree, TC)
	N(tc_new, _Znwm, TC) N(tc_newarray, _Znam, TC)
	N(tc_new_nothrow, _ZnwmRKSt9nothrow_t, TC) N(tc_newarray_nothrow, _ZnamRKSt9nothrow_t, TC)
	N(tc_new_aligned, _ZnwmSt11align_val_t, TC)
	N(tc_newarray_aligned, _ZnamSt11align_val_t, TC)
	N(tc_new_aligned_nothrow, _ZnwmSt11align_val_tRKSt9nothrow_t, TC)
	N(tc_newarray_aligned_nothrow, _ZnamSt11align_val_tRKSt9nothrow_t, TC)
	N(tc_delete, _ZdlPv, TC) N(tc_deletearray, _ZdaPv, TC)
	N(tc_delete_sized, _ZdlPvm, TC) N(tc_deletearray_sized, _ZdaPvm, TC)
	N(tc_delete_nothrow, _ZdlPvRKSt9nothrow_t, TC)
	N(tc_deletearray_nothrow, _ZdaPvRKSt9nothrow_t, TC)
	N(tc_delete_aligned, _ZdlPvSt11align_val_t, TC)
	N(tc_deletearray_aligned, _ZdaPvSt11align_val_t, TC)
	N(tc_delete_sized_aligned, _ZdlPvmSt11align_val_t, TC)
	N(tc_deletearray_sized_aligned, _ZdaPvmSt11align_val_t, TC)
	N(tc_delete_aligned_nothrow, _ZdlPvSt11align_val_tRKSt9nothrow_t, TC)
	N(tc_deletearray_aligned_nothrow, _ZdaPvSt11align_val_tRKSt9nothrow_t, TC)

	ALIGNED(mi_malloc, malloc) ALIGNED(mi_zalloc, malloc)
	N(mi_malloc_small, malloc, MI) N(mi_zalloc_small, malloc, MI)
	ALIGNED(mi_calloc, calloc) N(mi_mallocn, calloc, MI)
	ALIGNED(mi_realloc, realloc) ALIGNED(mi_rezalloc, realloc) N(mi_reallocf, reallocf, MI)
	ALIGNED(mi_recalloc, reallocarray)
	N(mi_aligned_recalloc, reallocarray, MI) N(mi_aligned_offset_recalloc, reallocarray, MI)
	N(mi_reallocn, reallocarray, MI) N(mi_reallocarray, reallocarray, MI)
	N(mi_reallocarr, reallocarr, MI)
	N(mi_memalign, memalign, MI) N(mi_aligned_alloc, aligned_alloc, MI)
	N(mi_posix_memalign, posix_memalign, MI)
	N(mi_valloc, valloc, MI) N(mi_pvalloc, pvalloc, MI)
	N(_aligned_malloc, malloc, MI)
	N(mi_free, free, MI) N(mi_cfree, cfree, MI)
	N(mi_free_size, free_sized, MI) N(mi_free_size_aligned, free_aligned_sized, MI)
	N(mi_free_aligned, free_aligned_sized, MI)
	N(mi_new, _Znwm, MI) N(mi_new_n, calloc, MI)
	N(mi_new_aligned, _ZnwmSt11align_val_t, MI) N(mi_new_nothrow, _ZnwmRKSt9nothrow_t, MI)
	N(mi_new_aligned_nothrow, _ZnwmSt11align_val_tRKSt9nothrow_t, MI)
	N(mi_new_realloc, realloc, MI) N(mi_new_reallocn, reallocarray, MI)
	ALIGNED(mi_heap_malloc, mi_heap_malloc) ALIGNED(mi_heap_zalloc, mi_heap_malloc)
	N(mi_heap_malloc_small, mi_heap_malloc, MI) N(mi_heap_alloc_new, mi_heap_malloc, MI)
	ALIGNED(mi_heap_calloc, mi_heap_calloc)
	N(mi_heap_mallocn, mi_heap_calloc, MI) N(mi_heap_alloc_new_n, mi_heap_calloc, MI)
	ALIGNED(mi_heap_realloc, mi_heap_realloc) ALIGNED(mi_heap_rezalloc, mi_heap_realloc)
	ALIGNED(mi_heap_recalloc, mi_heap_reallocn) N(mi_heap_reallocn, mi_heap_reallocn, MI)
	N(mi_heap_reallocf, mi_heap_reallocf, MI)
	/* Since 2.2 and 3.0; those with a u tell how large the block is. */
	N(mi_heap_zalloc_small, mi_heap_malloc, MI) N(mi_free_small, free, MI)
	N(mi_umalloc, malloc, MI) N(mi_umalloc_small, malloc, MI)
	N(mi_umalloc_aligned, malloc, MI) N(mi_uzalloc, malloc, MI)
	N(mi_uzalloc_small, malloc, MI) N(mi_uzalloc_aligned, malloc, MI)
	N(mi_ucalloc, calloc, MI) N(mi_urealloc, realloc, MI) N(mi_ufree, free, MI)
	N(mi_heap_umalloc, mi_heap_malloc, MI)
	N(mi_theap_malloc, mi_heap_malloc, MI) N(mi_theap_malloc_small, mi_heap_malloc, MI)
	N(mi_theap_malloc_aligned, mi_heap_malloc, MI) N(mi_theap_umalloc, mi_heap_malloc, MI)
	N(mi_theap_zalloc, mi_heap_malloc, MI) N(mi_theap_zalloc_small, mi_heap_malloc, MI)
	N(mi_theap_calloc, mi_heap_calloc, MI) N(mi_theap_realloc, mi_heap_realloc, MI)
	SAME(mi_strdup, MI) N(mi_strndup, mi_strdup, MI) N(mi_mbsdup, mi_strdup, MI)
	N(mi_heap_strdup, mi_strdup, MI) N(mi_heap_strndup, mi_strdup, MI)

	SAME(dlclose, LOADER) SAME(iconv_close, LOADER) SAME(mlockall, LOADER)
	SAME(_dl_find_object, LOADER) SAME(dl_iterate_phdr, LOADER)
	SAME(fork, LOADER) SAME(_Fork, LOADER) SAME(syscall, LOADER)
};
/* clang-format on */

const size_t inject_names_nr = sizeof(inject_names) / sizeof(inject_names[0]);

static const struct {
	const char *name;
	enum inject_shape shape;
} functions[] = {
#define X(function, shape) {#function, INJECT_##shape},
	INJECT_FUNCTIONS(X)
#undef X
};

const char *inject_function_name(enum inject_function f)
{
	return f < INJECT_FUNCTIONS_NR ? functions[f].name : "";
}

enum inject_shape inject_function_shape(enum inject_function f)
{
	return f < INJECT_FUNCTIONS_NR ? functions[f].shape : INJECT_SHAPES_NR;
}

const struct inject_name *inject_name_find(const char *name)
{
	for (size_t i = 0; i < inject_names_nr; i++) {
		if (!strcmp(inject_names[i].name, name))
			return &inject_names[i];
	}
	return NULL;
}
