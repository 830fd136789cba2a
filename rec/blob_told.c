/*
 * See blob_told.h. The injector finds the modules that use include/seep/seep.h as told.c does, and
 * notes where our address stands in each, for whoever takes us out again (struct wire_blob). What
 * is loaded later is searched when it is met in a stack for the first time: until then it does not
 * reach us.
 */
#include "blob_told.h"

#include "blob_image.h"
#include "bytes.h"
#include "record.h"

const struct seep_functions blob_functions = TOLD_FUNCTIONS;

#define NOTES_BYTES_MAX 65536

/* ---- its functions ---- */

/* What a new_handler tells, the real function that has called it must not hide. */
bool told_begin(struct hook *k, uint64_t sp)
{
	if (!rec_gate.header)
		return false;
	k->inside_sp = self_show();
	if (hook_begin(k, sp))
		return true;
	self_hide(k->inside_sp);
	return false;
}

void told_end(struct hook *k)
{
	hook_end(k);
	self_hide(k->inside_sp);
}

/* ---- modules ---- */

static bool holds_ours(uint64_t word)
{
	uint64_t value;

	return blob_read(word, &value, sizeof(value)) &&
	       value == (uint64_t)(uintptr_t)&blob_functions;
}

/* False: there is no room. A word of a module that is no longer there gives its place to this one.
 */
static bool note(uint64_t word)
{
	uint32_t nr = __atomic_load_n(&rec_blob.told_nr, __ATOMIC_ACQUIRE);

	for (uint32_t i = 0; i < nr && i < WIRE_TOLD_MAX; i++) {
		uint64_t seen = __atomic_load_n(&rec_blob.told[i], __ATOMIC_ACQUIRE);

		if (seen == word)
			return true;
		if (nr >= WIRE_TOLD_MAX && !holds_ours(seen) &&
		    __atomic_compare_exchange_n(&rec_blob.told[i], &seen, word, false,
						__ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return true;
	}
	do {
		if (nr >= WIRE_TOLD_MAX)
			return false;
	} while (!__atomic_compare_exchange_n(&rec_blob.told_nr, &nr, nr + 1, false,
					      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	__atomic_store_n(&rec_blob.told[nr], word, __ATOMIC_RELEASE);
	return true;
}

static void fill(uint64_t addr)
{
	struct seep_hooks *hooks = (struct seep_hooks *)addr, seen;

	if (addr % 8 || !blob_read(addr, &seen, sizeof(seen)) ||
	    seen.magic[0] != SEEP_HOOKS_MAGIC0 || seen.magic[1] != SEEP_HOOKS_MAGIC1 ||
	    !seen.version || seen.functions)
		return;
	if (note((uint64_t)(uintptr_t)&hooks->functions))
		__atomic_store_n(&hooks->functions, &blob_functions, __ATOMIC_RELEASE);
}

static bool is_written(const struct blob_image *image, uint64_t bias, uint64_t addr)
{
	for (uint32_t i = 0; i < image->nr; i++) {
		Elf64_Phdr p;

		if (blob_image_phdr(image, i, &p) && p.p_type == PT_LOAD && (p.p_flags & PF_W) &&
		    p.p_memsz >= sizeof(struct seep_hooks) && addr >= bias + p.p_vaddr &&
		    addr - (bias + p.p_vaddr) <= p.p_memsz - sizeof(struct seep_hooks))
			return true;
	}
	return false;
}

/* gABI 2-4: sizes of owner and description, type; each padded to 4 bytes. */
static void read_notes(const struct blob_image *image, uint64_t bias, uint64_t at, uint64_t bytes)
{
	struct {
		Elf64_Nhdr head;
		char owner[8];
	} n;
	uint64_t to;

	while (bytes >= sizeof(n) && bytes <= NOTES_BYTES_MAX) {
		uint64_t len;

		if (!blob_read(at, &n, sizeof(n)))
			return;
		len = sizeof(n.head) + (((uint64_t)n.head.n_namesz + 3) & ~3ull) +
		      (((uint64_t)n.head.n_descsz + 3) & ~3ull);
		if (len > bytes)
			return;
		if (n.head.n_type == SEEP_NOTE_TYPE && n.head.n_namesz == sizeof(SEEP_NOTE_OWNER) &&
		    n.head.n_descsz == sizeof(to) &&
		    bytes_equal(n.owner, SEEP_NOTE_OWNER, sizeof(SEEP_NOTE_OWNER)) &&
		    blob_read(at + len - sizeof(to), &to, sizeof(to)) &&
		    is_written(image, bias, at + len - sizeof(to) + to))
			fill(at + len - sizeof(to) + to);
		at += len;
		bytes -= len;
	}
}

void blob_told_by_module(uint64_t start, uint64_t bias)
{
	struct blob_image image;

	if (!blob_image_read(start, &image))
		return;
	for (uint32_t i = 0; i < image.nr; i++) {
		Elf64_Phdr p;

		if (blob_image_phdr(&image, i, &p) && p.p_type == PT_NOTE && p.p_align <= 4)
			read_notes(&image, bias, bias + p.p_vaddr, p.p_memsz);
	}
}
