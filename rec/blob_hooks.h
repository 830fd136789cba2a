/* What entry_blob_x86_64.S hands to the hooks: the call as it was made. */
#ifndef SEEP_REC_BLOB_HOOKS_H
#define SEEP_REC_BLOB_HOOKS_H

#include <stdint.h>

/* On the stack; pc is the return address that the caller's call left there. */
struct hook_call {
	uint64_t arg[6];
	uint64_t bp;
	uint64_t instead; /* for new_1: the function that returns NULL */
	uint64_t real;
	uint64_t fill;
	uint64_t rax, r10, r11; /* as they came */
	uint64_t pc;
};

static inline uint64_t hook_call_sp(const struct hook_call *c)
{
	return (uint64_t)(&c->pc + 1);
}

/*
 * Calls f with six arguments. All calls of functions that are not ours go through here (malloc
 * apart): what such a call leaves on the stack is wiped when it has returned, so that whoever finds
 * the address of a place behind one of them on a stack knows that it is still under way.
 */
uint64_t blob_out(const uint64_t args[6], uint64_t f);

struct blob_self;
/*
 * This thread; NULL: the call is the allocator's own affair, or nothing is recorded. It is looked
 * up once: what it costs is felt.
 */
struct blob_self *hook_enter(const struct hook_call *c);

/* blob_new.c; see entry_blob_x86_64.S */
uint64_t hook_new_begin(struct hook_call *c);
uint64_t hook_new_end(struct hook_call *c);
int blob_new_personality(int version, int actions, uint64_t class, void *exception, void *context);

/* Each makes the call and returns what it returned. */
uint64_t hook_allocates_1(struct hook_call *c);
uint64_t hook_allocates_2(struct hook_call *c);
uint64_t hook_allocates_12(struct hook_call *c);
uint64_t hook_allocates_23(struct hook_call *c);
uint64_t hook_allocates_string(struct hook_call *c);
uint64_t hook_new_1(struct hook_call *c); /* 0: the real one is still to be called */
uint64_t hook_fills_1_3(struct hook_call *c);
uint64_t hook_frees_1(struct hook_call *c);
uint64_t hook_frees_quietly(struct hook_call *c);
uint64_t hook_reallocs_1_2(struct hook_call *c);
uint64_t hook_reallocs_1_23(struct hook_call *c);
uint64_t hook_reallocs_2_3(struct hook_call *c);
uint64_t hook_reallocs_2_34(struct hook_call *c);
uint64_t hook_reallocs_or_frees_1_2(struct hook_call *c);
uint64_t hook_reallocs_or_frees_2_3(struct hook_call *c);
uint64_t hook_replaces_1_23(struct hook_call *c);
uint64_t hook_resizes_1_2(struct hook_call *c);
uint64_t hook_closes_1(struct hook_call *c);
uint64_t hook_locks(struct hook_call *c);
uint64_t hook_finds_object(struct hook_call *c);
uint64_t hook_iterates_1_2(struct hook_call *c); /* 0: the real one is still to be called */
uint64_t hook_forks(struct hook_call *c);

#endif
