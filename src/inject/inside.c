/* See inside.h. */
#include "inject/inside.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "target/maps.h"

#define PAGE UINT64_C(4096)
/* In front of it in one mapping: code, and memory near entries. */
#define CODE_MOST (UINT64_C(256) << 10)

static bool may_begin(const struct map *m)
{
	return !m->inode && !(m->prot & (MAP_IS_SHARED | MAP_EXEC)) && (m->prot & MAP_WRITE) &&
	       m->end - m->start >= sizeof(struct wire_blob);
}

static bool is_there(int mem, uint64_t addr)
{
	struct {
		struct wire_private private_part;
		uint64_t magic;
	} head;

	return pread(mem, &head, sizeof(head), (off_t)addr) == (ssize_t)sizeof(head) &&
	       head.private_part.magic[0] == WIRE_PRIVATE_MAGIC0 &&
	       head.private_part.magic[1] == WIRE_PRIVATE_MAGIC1 && head.magic == WIRE_BLOB_MAGIC;
}

/* It begins a mapping, unless an attach was killed before it could protect the code in front. */
static uint64_t find_within(int mem, const struct maps *maps, uint64_t most)
{
	for (size_t i = 0; i < maps->nr; i++) {
		const struct map *m = &maps->items[i];

		for (uint64_t at = 0; may_begin(m) && at <= most && m->start + at < m->end;
		     at += PAGE)
			if (is_there(mem, m->start + at))
				return m->start + at;
	}
	return 0;
}

uint64_t inside_find(int mem, const struct maps *maps)
{
	uint64_t at = find_within(mem, maps, 0);

	return at ? at : find_within(mem, maps, CODE_MOST);
}

int inside_read(int mem, uint64_t addr, struct wire_blob *ret)
{
	const size_t len = offsetof(struct wire_blob, modules);
	ssize_t got = pread(mem, ret, len, (off_t)addr);

	if (got < 0)
		return -errno;
	if (got != (ssize_t)len || ret->magic != WIRE_BLOB_MAGIC ||
	    ret->version != WIRE_BLOB_VERSION || ret->bytes != sizeof(*ret) ||
	    ret->patches_nr > WIRE_PATCHES_MAX || ret->mapped_nr > WIRE_MAPPED_MAX ||
	    ret->told_nr > WIRE_TOLD_MAX)
		return -EBADMSG;
	for (uint32_t i = 0; i < ret->patches_nr; i++)
		if (ret->patches[i].bytes_nr > WIRE_PATCH_BYTES ||
		    (ret->patches[i].is_slot && ret->patches[i].bytes_nr != WIRE_SLOT_BYTES))
			return -EBADMSG;
	return 0;
}

int inside_poke(int mem, uint64_t addr, const void *bytes, size_t len)
{
	ssize_t done = pwrite(mem, bytes, len, (off_t)addr);

	return done < 0 ? -errno : done == (ssize_t)len ? 0 : -EFAULT;
}
