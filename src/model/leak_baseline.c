/* Known leaks; see leak_baseline.h. */
#include "model/leak_baseline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

uint64_t leak_fingerprint(const char *text)
{
	uint64_t h = 0xcbf29ce484222325ull;

	/* FNV-1a: it must be the same in every version of seep. */
	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 0x100000001b3ull;
	return h;
}

/* Index of the first item that is not below the fingerprint. */
static size_t place_of(const struct leak_baseline *b, uint64_t fingerprint)
{
	size_t low = 0, high = b->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (b->items[middle].fingerprint < fingerprint)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct known_leak *find_or_add(struct leak_baseline *b, uint64_t fingerprint,
				      const char *label)
{
	size_t at = place_of(b, fingerprint);

	if (at < b->nr && b->items[at].fingerprint == fingerprint)
		return &b->items[at];
	ARRAY_GROW(b->items, b->nr, b->cap);
	memmove(&b->items[at + 1], &b->items[at], (b->nr - at) * sizeof(*b->items));
	b->nr++;
	b->items[at] = (struct known_leak){.fingerprint = fingerprint, .label = mem_strdup(label)};
	return &b->items[at];
}

static int parse_line(struct leak_baseline *b, const char *line, size_t len, unsigned int number,
		      const char *name, struct error *e)
{
	char *copy = mem_strndup(line, len);
	uint64_t fingerprint, leaks, bytes;
	struct known_leak *known;
	int used = 0, fields;

	fields = sscanf(copy, "%16" SCNx64 " %" SCNu64 " %" SCNu64 " %n", &fingerprint, &leaks,
			&bytes, &used);
	if (fields != 3 || used == 0) {
		error_set(e, -EINVAL, EXIT_FILE, "cannot read baseline '%s': line %u: '%.100s'",
			  name, number, copy);
		error_hint(e, "seep leaks --write-baseline FILE makes one");
		free(copy);
		return -EINVAL;
	}
	known = find_or_add(b, fingerprint, copy + used);
	known->leaks += leaks;
	known->bytes += bytes;
	free(copy);
	return 0;
}

int leak_baseline_parse(const char *text, const char *name, struct leak_baseline *ret,
			struct error *e)
{
	struct leak_baseline b = {.items = NULL};

	for (unsigned int number = 1; *text; number++) {
		size_t len = strcspn(text, "\n"), used = len;

		while (used && (text[used - 1] == '\r' || text[used - 1] == ' '))
			used--;
		if (used && text[0] != '#' && parse_line(&b, text, used, number, name, e) < 0) {
			leak_baseline_release(&b);
			return -EINVAL;
		}
		text += len + (text[len] == '\n');
	}
	*ret = b;
	return 0;
}

void leak_baseline_release(struct leak_baseline *b)
{
	for (size_t i = 0; i < b->nr; i++)
		free(b->items[i].label);
	free(b->items);
	*b = (struct leak_baseline){.items = NULL};
}

bool leak_baseline_meet(struct leak_baseline *b, uint64_t fingerprint)
{
	size_t at = place_of(b, fingerprint);

	if (at == b->nr || b->items[at].fingerprint != fingerprint)
		return false;
	return ++b->items[at].met <= b->items[at].leaks;
}

void leak_baseline_add(struct leak_baseline *b, uint64_t fingerprint, uint64_t bytes,
		       const char *label)
{
	struct known_leak *known = find_or_add(b, fingerprint, label);

	known->leaks++;
	known->bytes += bytes;
}

void leak_baseline_write(const struct leak_baseline *b, struct str *out)
{
	str_add(out, "# Known leaks, for seep leaks --baseline: fingerprint, leaks, bytes, what\n");
	for (size_t i = 0; i < b->nr; i++) {
		const struct known_leak *known = &b->items[i];

		str_printf(out, "%016" PRIx64 " %" PRIu64 " %" PRIu64 " ", known->fingerprint,
			   known->leaks, known->bytes);
		/* A label may hold anything but must stay on its line. */
		for (const char *p = known->label; *p; p++)
			str_add_char(out, *p == '\n' || *p == '\r' ? ' ' : *p);
		str_add_char(out, '\n');
	}
}
