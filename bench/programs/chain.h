/*
 * A chain of calls through three shared modules, for pairs.c. Each frame has its own size and its
 * own saved registers; one in five calls alloca().
 */
#ifndef SEEP_BENCH_CHAIN_H
#define SEEP_BENCH_CHAIN_H

struct chain;
typedef long chain_fn(struct chain *c, int deeper);

#define CHAIN_FRAMES_MAX 1024
#define CHAIN_BRANCHES_NR 12
#define CHAIN_BRANCHES_PER_MODULE 4
#define CHAIN_KEPT_NR 8

struct chain {
	chain_fn *frames[CHAIN_FRAMES_MAX];    /* [deeper] is called next */
	chain_fn *branches[CHAIN_BRANCHES_NR]; /* inner nodes of a binary tree of calls */
	long (*leaf)(struct chain *c);	       /* called by the innermost */
	long kept[CHAIN_KEPT_NR];	       /* what frames hold across calls, 0 … 7 */
	unsigned int extra_bytes;	       /* for alloca */
};

/* Frame nr, any number; branch nr below CHAIN_BRANCHES_PER_MODULE. */
chain_fn *chain_0_frame(unsigned int nr);
chain_fn *chain_1_frame(unsigned int nr);
chain_fn *chain_2_frame(unsigned int nr);
chain_fn *chain_0_branch(unsigned int nr);
chain_fn *chain_1_branch(unsigned int nr);
chain_fn *chain_2_branch(unsigned int nr);

#endif
