/*
 * The verified stack cache.
 *
 * An unwinder is a function of the registers it starts with, of the unwind information, and of the
 * words of memory it reads; and where it reads next is decided by what it has read before. So if a
 * walk is about to start in the same state as an earlier one, and every word that the earlier one
 * read still holds what it held, the result is the same: by induction each address it would read is
 * the same, and so is the value there. That replaces unwinding by comparing, and needs no hook in
 * returns, longjmp, exceptions or stack switches: nothing is assumed about how control got here.
 *
 *   t->frames   outermost first   [0] … [i] … [j] … [nr-1]        the last walked stack
 *   t->words    in the same order: words [0, frames[i].words_end) prove frames [0 … i]
 *
 * A capture walks new inner frames until it meets a cached state (same pc, sp, and bp where an
 * outer frame consumes it), then checks the outer frames' words. If one differs, the frames inside
 * of it are still proven, and the walk goes on from there.
 *
 * A saved bp counts as read only if an outer frame uses bp before it is restored again; frames
 * behind complex rules count it as used. Call sites that come back with the same stack get a
 * record: all their words in one packed list, so that the next time costs one comparison loop
 * (record.h, remember.c).
 */
#include "bytes.h"
#include "cfi.h"
#include "modules.h"
#include "record.h"
#include "sys.h"

#define RED_ZONE 128 /* System V ABI AMD64, 3.2.2 */

struct capture {
	struct thread *t;
	struct wire_header *h;
	struct walk w;
	int32_t join; /* innermost cached frame that is still valid, -1: none */
	uint32_t fresh_nr;
	uint32_t root;	 /* parent of the outermost frame: 0, or a mark */
	bool repeatable; /* false: where the walk ended depended on more than what it read */
};

/* -1: words [0, nr) are as they were; else the highest that is not. Inner words first, as unwinding
 * reads. */
static int32_t check_words(const struct word *w, int32_t nr)
{
	int32_t i = nr - 1;

	for (; i >= 3; i -= 4)
		if (unlikely(*(uint64_t *)w[i].slot != w[i].value ||
			     *(uint64_t *)w[i - 1].slot != w[i - 1].value ||
			     *(uint64_t *)w[i - 2].slot != w[i - 2].value ||
			     *(uint64_t *)w[i - 3].slot != w[i - 3].value))
			break;
	for (; i >= 0; i--)
		if (*(uint64_t *)w[i].slot != w[i].value)
			return i;
	return -1;
}

/*
 * The walk stands at cached frame j, and word k does not hold: frames [i+1 … j] are proven, frame
 * i's caller changed. Copies them as fresh frames and moves the walk to frame i. False: start again
 * there without the cache.
 */
static bool keep_inner(struct capture *c, int32_t j, int32_t k, int32_t *ret_i)
{
	struct frame *f = c->t->frames;
	uint64_t bp = c->w.bp;
	int32_t i = j;

	while (i > 0 && (int32_t)f[i - 1].words_end > k)
		i--;
	for (int32_t x = j; x > i; x--)
		if (RULE_KIND(f[x].rule) == RULE_COMPLEX)
			return false;
	if (c->fresh_nr + (uint32_t)(j - i) >= FRAMES_MAX - 1)
		return false;
	for (int32_t x = j; x > i; x--) {
		struct frame *n = &c->t->fresh[c->fresh_nr++];

		*n = f[x];
		n->bp = bp;
		if (f[x].bp_slot)
			bp = *(uint64_t *)f[x].bp_slot;
	}
	c->w.pc = f[i].pc;
	c->w.sp = f[i].sp;
	c->w.bp = bp;
	*ret_i = i;
	return true;
}

/* One step outward by a simple rule. False: the walk ends here. */
static inline bool step_simple(struct capture *c, struct frame *f, uint32_t rule)
{
	struct walk *w = &c->w;
	struct thread *t = c->t;
	uint64_t cfa = ((rule & 2) ? w->bp : w->sp) + RULE_CFA(rule);

	/*
	 * The saved bp lies in the frame, too, or just below it where an epilogue was interrupted
	 * that had popped it already.
	 */
	if (unlikely(cfa <= w->sp || RULE_BP_BELOW(rule) > cfa - w->sp + RED_ZONE ||
		     w->sp < t->stack_low || cfa > t->stack_high) &&
	    (cfa <= w->sp || RULE_BP_BELOW(rule) > cfa - w->sp + RED_ZONE ||
	     !stackmap_find(t, w->sp, cfa))) {
		f->rule = RULE_BAD;
		c->root = WIRE_NODE_NO_CFI;
		c->repeatable = false;
		return false;
	}
	f->ra_slot = cfa - 8;
	w->pc = *(uint64_t *)(cfa - 8);
	if (rule & 1) {
		f->bp_slot = cfa - RULE_BP_BELOW(rule);
		w->bp = *(uint64_t *)f->bp_slot;
	}
	w->sp = cfa;
	return w->pc != 0;
}

static COLD bool step_other(struct capture *c, struct frame *f, uint32_t rule)
{
	uint32_t first = c->w.extra_nr;
	int r;

	switch (RULE_KIND(rule)) {
	case RULE_END:
		return false;
	case RULE_COMPLEX:
		r = cfi_step_complex(rule, &c->w);
		f->extra_first = (uint16_t)first;
		f->extra_nr = (uint16_t)(c->w.extra_nr - first);
		if (r == 0)
			return true;
		if (r < 0) {
			f->rule = RULE_BAD;
			c->root = WIRE_NODE_NO_CFI;
			c->repeatable = false;
		}
		return false;
	case RULE_NONE:
		c->root = WIRE_NODE_NO_CFI;
		return false;
	}
	c->root = WIRE_NODE_NO_CFI;
	c->repeatable = false;
	return false;
}

/*
 * A stack that ended where no module was known: there may be one now. (One that ends at its
 * outermost frame never changes its mind.)
 */
static inline bool is_outdated(struct capture *c)
{
	return unlikely(c->t->frames[0].rule == RULE_NONE) &&
	       modules_appeared(c->h, c->t->frames[0].pc);
}

/* Walks until a cached frame holds or the stack ends; fills t->fresh, innermost first. */
static void walk_fresh(struct capture *c)
{
	struct thread *t = c->t;
	struct frame *cached = t->frames;
	int32_t j = (int32_t)t->frames_nr - 1, i;

	for (;;) {
		struct frame *f;
		uint32_t rule;

		while (j >= 0 && cached[j].sp < c->w.sp)
			j--;
		if (j >= 0 && cached[j].sp == c->w.sp && cached[j].pc == c->w.pc &&
		    (!cached[j].bp_live || cached[j].bp == c->w.bp)) {
			int32_t k = check_words(t->words, (int32_t)cached[j].words_end);

			if (k < 0 && !is_outdated(c)) {
				c->join = j;
				return;
			}
			if (k < 0) {
				j = -1;
				goto step;
			}
			j = keep_inner(c, j, k, &i) ? i - 1 : -1;
		}
	step:
		if (unlikely(c->fresh_nr >= FRAMES_MAX - 1)) {
			c->root = WIRE_NODE_CUT;
			return;
		}
		rule = rules_find(t, c->h, c->w.pc, 0);
		if (unlikely(rule == RULE_NONE) && modules_appeared(c->h, c->w.pc))
			rule = rules_find(t, c->h, c->w.pc, 0);
		f = &t->fresh[c->fresh_nr++];
		*f = (struct frame){.pc = c->w.pc, .sp = c->w.sp, .bp = c->w.bp, .rule = rule};
		if (likely(RULE_KIND(rule) <= RULE_BP_BP) ? !step_simple(c, f, rule)
							  : !step_other(c, f, rule))
			return;
	}
}

/* Appends the words that the step out of frame f read; frames[n - 1] is its caller. */
static uint32_t add_words(struct capture *c, const struct frame *f, uint32_t n, uint32_t end,
			  bool caller_bp_live)
{
	struct thread *t = c->t;
	struct word *w = t->words;

	if (end + f->extra_nr + 2 > WORDS_MAX) {
		c->repeatable = false;
		return end;
	}
	for (uint32_t i = 0; i < f->extra_nr; i++)
		w[end++] = t->extra[f->extra_first + i];
	if (f->ra_slot)
		w[end++] = (struct word){f->ra_slot, n ? t->frames[n - 1].pc : 0};
	if (f->bp_slot && caller_bp_live && n)
		w[end++] = (struct word){f->bp_slot, t->frames[n - 1].bp};
	return end;
}

/* Does this frame consume the bp it was entered with? */
static bool needs_bp(const struct frame *f, bool caller_bp_live)
{
	switch (RULE_KIND(f->rule)) {
	case RULE_SP:
		return caller_bp_live;
	case RULE_SP_BP:
		return false;
	case RULE_END:
		return false;
	}
	return true;
}

/* The node that an outermost frame hangs on, given how the walk ended. */
static inline uint32_t root_node(const struct thread *t, struct wire_header *h, uint32_t end)
{
	if (likely(t->root == WIRE_NODE_ROOT))
		return end;
	return end == WIRE_NODE_ROOT ? t->root : tree_child(h, t->root, end);
}

/* Moves the fresh frames over the joined ones; returns the innermost node. */
static uint32_t push_fresh(struct capture *c)
{
	struct thread *t = c->t;
	uint32_t n = (uint32_t)(c->join + 1), node, end = 0;
	bool live = false;

	if (!n) {
		node = root_node(t, c->h, c->root);
	} else {
		node = t->frames[n - 1].node;
		live = t->frames[n - 1].bp_live;
		end = t->frames[n - 1].words_end;
	}
	for (int32_t x = (int32_t)c->fresh_nr - 1; x >= 0; x--) {
		struct frame *f = &t->fresh[x];

		node = tree_child(c->h, node, f->pc);
		/* The outermost kept frame of a cut stack: its caller was not looked at. */
		if (n || c->root != WIRE_NODE_CUT)
			end = add_words(c, f, n, end, live);
		live = needs_bp(f, live);
		t->frames[n] = *f;
		t->frames[n].node = node;
		t->frames[n].bp_live = live;
		t->frames[n].words_end = end;
		n++;
	}
	t->frames_nr = n;
	return node;
}

static struct walk walk_start(struct thread *t, uint64_t pc, uint64_t sp, uint64_t bp)
{
	return (struct walk){.pc = pc,
			     .sp = sp,
			     .bp = bp,
			     .extra = t->extra,
			     .extra_cap = EXTRA_MAX,
			     .thread = t};
}

uint32_t capture_stack(struct thread *t, struct wire_header *h, uint64_t pc, uint64_t sp,
		       uint64_t bp)
{
	struct capture c = {
		.t = t,
		.h = h,
		.w = walk_start(t, pc, sp, bp),
		.join = -1,
		.root = WIRE_NODE_ROOT,
		.repeatable = true,
	};
	uint32_t node;

	if (unlikely(t->epoch != h->epoch || t->frames_root != t->root)) {
		t->epoch = h->epoch;
		t->frames_root = t->root;
		t->frames_nr = 0;
	}
	walk_fresh(&c);
	if (unlikely((uint32_t)(c.join + 1) + c.fresh_nr > FRAMES_MAX)) {
		/* Too deep with what is cached: the innermost FRAMES_MAX - 1 frames, always the
		 * same way. */
		t->frames_nr = 0;
		c.w = walk_start(t, pc, sp, bp);
		c.join = -1;
		c.fresh_nr = 0;
		walk_fresh(&c);
	}
	node = push_fresh(&c);
	t->proof_nr = 0;
	if (unlikely(c.root == WIRE_NODE_CUT || !c.repeatable))
		t->frames_nr = 0;
	else if (t->frames[0].rule != RULE_NONE)
		t->proof_nr = t->frames[t->frames_nr - 1].words_end;
	return node;
}

uint32_t capture_uncached(struct thread *t, struct wire_header *h, int level, uint64_t pc,
			  uint64_t sp, uint64_t bp)
{
	/* Nothing of the thread's cache may be touched: a hook may be in the middle of using it. */
	struct word extra[16]; /* of one step; here nobody asks for them */
	uint64_t low = t->stack_low, high = t->stack_high;
	struct capture c = {
		.t = t,
		.h = h,
		.w = {.pc = pc, .sp = sp, .bp = bp, .extra = extra, .extra_cap = 16, .thread = t},
	};
	uint64_t *pcs = t->nested_pcs + (size_t)level * FRAMES_MAX;
	uint32_t nr = 0, node;

	for (;;) {
		struct frame f = {0};
		uint32_t rule;

		if (nr >= FRAMES_MAX - 1) {
			c.root = WIRE_NODE_CUT;
			break;
		}
		pcs[nr++] = c.w.pc;
		rule = h->slow & WIRE_SLOW_UNLOAD ? rules_find_uncached(t, h, c.w.pc, level)
						  : rules_find(t, h, c.w.pc, level);
		c.w.extra_nr = 0;
		if (RULE_KIND(rule) <= RULE_BP_BP ? !step_simple(&c, &f, rule)
						  : !step_other(&c, &f, rule))
			break;
	}
	t->stack_low = low;
	t->stack_high = high;
	node = root_node(t, h, c.root);
	while (nr)
		node = tree_child(h, node, pcs[--nr]);
	return node;
}
