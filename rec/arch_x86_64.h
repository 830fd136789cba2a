/* What depends on the processor: raw system calls, register numbers of DWARF, the thread pointer.
 */
#ifndef SEEP_REC_ARCH_X86_64_H
#define SEEP_REC_ARCH_X86_64_H

#include <emmintrin.h>
#include <stdbool.h>
#include <stdint.h>

#define ARCH_DWARF_BP 6 /* System V ABI AMD64, figure 3.36 */
#define ARCH_DWARF_SP 7
#define ARCH_DWARF_RA 16
#define ARCH_DWARF_NR 17
#define ARCH_RELOC_JUMP_SLOT 7

static inline long arch_syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static inline uint64_t arch_thread_pointer(void)
{
	uint64_t tp;

	__asm__("mov %%fs:0, %0" : "=r"(tp));
	return tp;
}

/* rsp at this point; for telling a live frame from one that was jumped out of. */
static inline uint64_t arch_stack_pointer(void)
{
	uint64_t sp;

	__asm__ volatile("mov %%rsp, %0" : "=r"(sp));
	return sp;
}

/*
 * The caller of a function that has a frame pointer (__builtin_frame_address() makes it have one),
 * as it will be after the return; System V ABI AMD64, figure 3.3.
 */
struct arch_caller {
	uint64_t pc, sp, bp;
};
#define ARCH_CALLER()                                                                              \
	({                                                                                         \
		const uint64_t *frame_ = __builtin_frame_address(0);                               \
		(struct arch_caller){frame_[1], (uint64_t)(frame_ + 2), frame_[0]};                \
	})

/*
 * Collects in what four words differ; offsets as in struct word_group. There is no branch for each:
 * those, and loads, are what the processor runs out of while it waits for memory.
 */
struct arch_differences {
	__m128i seen;
};

static inline struct arch_differences arch_no_differences(void)
{
	return (struct arch_differences){_mm_setzero_si128()};
}

static inline void arch_compare(struct arch_differences *d, uint64_t base, const uint64_t *offsets,
				const uint64_t *value)
{
	const __m128i *want = (const __m128i *)value;
	uint64_t i = offsets[0], j = offsets[1];
	__m128 a, b;

	a = _mm_castsi128_ps(_mm_loadl_epi64((const __m128i *)(base + (uint32_t)i)));
	b = _mm_castsi128_ps(_mm_loadl_epi64((const __m128i *)(base + (uint32_t)j)));
	a = _mm_loadh_pi(a, (const __m64 *)(base + (i >> 32)));
	b = _mm_loadh_pi(b, (const __m64 *)(base + (j >> 32)));
	d->seen = _mm_or_si128(d->seen, _mm_xor_si128(_mm_castps_si128(a), want[0]));
	d->seen = _mm_or_si128(d->seen, _mm_xor_si128(_mm_castps_si128(b), want[1]));
}

static inline bool arch_differs(const struct arch_differences *d)
{
	return _mm_movemask_epi8(_mm_cmpeq_epi8(d->seen, _mm_setzero_si128())) != 0xffff;
}

/* Which of four tags, 16-byte aligned, is this one? False: none. */
static inline bool arch_find_tag(const uint32_t *tags, uint32_t tag, uint32_t *ret_i)
{
	__m128i all = _mm_load_si128((const __m128i *)tags);
	__m128i equal = _mm_cmpeq_epi32(all, _mm_set1_epi32((int)tag));
	uint32_t mask = (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(equal));

	if (!mask)
		return false;
	*ret_i = (uint32_t)__builtin_ctz(mask);
	return true;
}

/*
 * Empties the vector registers, which belong to nobody at a function's entry (System V ABI, 3.2.1)
 * and still hold what was copied last. XRSTOR of an area that says nothing is in it sets SSE, AVX
 * and AVX-512 to their initial state (Intel SDM 1, 13.8); bytes 24 to 31 of it are MXCSR's.
 */
static inline void arch_clear_vectors(void)
{
	uint8_t area[576] __attribute__((aligned(64)));
	uint32_t a = 1, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	if (!(c & 1u << 27)) /* OSXSAVE */
		return;
	for (uint32_t i = 0; i < sizeof(area); i++)
		area[i] = 0;
	__asm__ volatile("stmxcsr %0" : "=m"(*(uint32_t *)(area + 24)));
	__asm__ volatile("xrstor64 %0" : : "m"(area), "a"(0xe6), "d"(0) : "memory");
}

/* In a loop that waits for another processor. */
static inline void arch_pause(void)
{
	__asm__ volatile("pause" ::: "memory");
}

#endif
