/* String table: texts in one buffer, found again through an open-addressing hash; see strings.h. */
#include "model/strings.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

enum { FIRST_SLOTS = 64 };

/* The slot that holds the text, or the free one where it belongs. */
static size_t find_slot(const struct strings *t, const char *text, size_t len)
{
	size_t mask = t->slots_cap - 1;
	size_t i = hash_bytes(text, len) & mask;

	for (; t->slots[i]; i = (i + 1) & mask) {
		const char *there = t->data + t->offsets[t->slots[i] - 1];

		if (!strncmp(there, text, len) && !there[len])
			break;
	}
	return i;
}

/* Keeps at least half of the slots free. Of equal texts the lowest id stays findable. */
static void grow_slots(struct strings *t)
{
	if (t->slots_cap && t->nr < t->slots_cap / 2)
		return;
	t->slots_cap = t->slots_cap ? t->slots_cap * 2 : FIRST_SLOTS;
	free(t->slots);
	t->slots = mem_alloc_array(t->slots_cap, sizeof(*t->slots));
	for (size_t id = 0; id < t->nr; id++) {
		const char *text = t->data + t->offsets[id];
		size_t slot = find_slot(t, text, strlen(text));

		if (!t->slots[slot])
			t->slots[slot] = (uint32_t)id + 1;
	}
}

static void reserve_text(struct strings *t, size_t bytes)
{
	size_t cap = t->cap ? t->cap : 256;

	while (cap - t->len < bytes)
		cap *= 2;
	if (cap == t->cap)
		return;
	t->data = mem_realloc(t->data, cap);
	t->cap = cap;
}

/* text may point into the table itself. Returns 0 when the table is full. */
static uint32_t append_text(struct strings *t, const char *text, size_t len)
{
	size_t inside = SIZE_MAX;
	uint32_t id = (uint32_t)t->nr;

	if (t->len > STRINGS_MAX_BYTES || len >= STRINGS_MAX_BYTES - t->len ||
	    t->nr >= UINT32_MAX - 1)
		return 0;
	if (t->data && (uintptr_t)text >= (uintptr_t)t->data &&
	    (uintptr_t)text < (uintptr_t)t->data + t->len)
		inside = (size_t)(text - t->data);
	reserve_text(t, len + 1);
	if (len)
		memcpy(t->data + t->len, inside == SIZE_MAX ? text : t->data + inside, len);
	ARRAY_PUSH(t->offsets, t->nr, t->offsets_cap, (uint32_t)t->len);
	t->data[t->len + len] = '\0';
	t->len += len + 1;
	return id;
}

void strings_init(struct strings *t)
{
	memset(t, 0, sizeof(*t));
	strings_append(t, "", 0);
}

void strings_release(struct strings *t)
{
	if (!t)
		return;
	free(t->data);
	free(t->offsets);
	free(t->slots);
	memset(t, 0, sizeof(*t));
}

uint32_t strings_add(struct strings *t, const char *text)
{
	return strings_add_len(t, text, strlen(text));
}

uint32_t strings_add_len(struct strings *t, const char *text, size_t len)
{
	size_t slot;

	len = len ? strnlen(text, len) : 0;
	grow_slots(t);
	slot = find_slot(t, len ? text : "", len);
	if (t->slots[slot])
		return t->slots[slot] - 1;
	return strings_append(t, text, len);
}

uint32_t strings_append(struct strings *t, const char *text, size_t len)
{
	size_t nr = t->nr;
	size_t slot;
	uint32_t id;

	len = len ? strnlen(text, len) : 0;
	grow_slots(t);
	id = append_text(t, text, len);
	if (t->nr == nr)
		return 0;
	text = t->data + t->offsets[id];
	slot = find_slot(t, text, len);
	if (!t->slots[slot])
		t->slots[slot] = id + 1;
	return id;
}

const char *strings_get(const struct strings *t, uint32_t id)
{
	return id < t->nr ? t->data + t->offsets[id] : "";
}
