/*
 * What a sampled block stands for. Pure integer arithmetic, because the recorder does it too: in
 * another's process a floating-point operation would leave its mark in the exception flags.
 *
 * The bytes that a thread allocates are a line on which points lie at random, mean bytes apart (a
 * Poisson process); a block is sampled if it covers one. So a block of s bytes is sampled with the
 * probability p = 1 - exp(-s/mean), and each one that is stands for 1/p blocks of its size: sums of
 * these weights are unbiased, whatever the sizes. A block of 0 bytes counts as one of 1 byte here.
 */
#ifndef SEEP_WIRE_SAMPLE_H
#define SEEP_WIRE_SAMPLE_H

#include <stdint.h>

#define WIRE_WEIGHT_SHIFT 16 /* weights are in units of 2^-16 blocks */
#define WIRE_WEIGHT_ONE (1ull << WIRE_WEIGHT_SHIFT)
#define WIRE_LN2_Q56 0x00b17217f7d1cf79ull
#define WIRE_CERTAIN 40 /* exp(-40) is nothing beside the unit of a weight */

static inline uint64_t wire_mul_shift(uint64_t a, uint64_t b, unsigned int shift)
{
	return (uint64_t)((unsigned __int128)a * b >> shift);
}

/* 2^62 * (1 - exp(-x)), x in units of 2^-56, less than WIRE_CERTAIN; relative error below 2^-26. */
static inline uint64_t wire_one_minus_exp(uint64_t x)
{
	const uint64_t one = 1ull << 62;
	uint64_t halvings = x / WIRE_LN2_Q56, r = (x - halvings * WIRE_LN2_Q56) << 6;
	uint64_t term = r, sum = r;

	for (unsigned int k = 2; k < 24; k++) {
		term = wire_mul_shift(term, r, 62) / k;
		sum = k & 1 ? sum + term : sum - term;
	}
	return halvings ? one - ((one - sum) >> halvings) : sum;
}

/* 2^78 / d, rounded: without the compiler's help for long divisions, which the recorder lacks. */
static inline uint64_t wire_reciprocal(uint64_t d)
{
	uint64_t quotient = 0, rest = 1;

	for (int i = 0; i < 78; i++) {
		rest <<= 1;
		quotient <<= 1;
		if (rest >= d) {
			rest -= d;
			quotient |= 1;
		}
	}
	return quotient + (rest >= d - rest);
}

/* How many blocks a sampled one of this size stands for; bits: log2 of the mean. */
static inline uint64_t wire_sample_weight(uint64_t size, unsigned int bits)
{
	if (!size)
		size = 1;
	if (size >> bits >= WIRE_CERTAIN)
		return WIRE_WEIGHT_ONE;
	return wire_reciprocal(wire_one_minus_exp(size << (56 - bits)));
}

/* How many bytes it stands for. */
static inline uint64_t wire_sample_bytes(uint64_t size, uint64_t weight)
{
	return (uint64_t)(((unsigned __int128)size * weight + WIRE_WEIGHT_ONE / 2) >>
			  WIRE_WEIGHT_SHIFT);
}

#endif
