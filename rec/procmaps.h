/* /proc/self/maps, character by character: no buffer for lines, however long their paths are. */
#ifndef SEEP_REC_PROCMAPS_H
#define SEEP_REC_PROCMAPS_H

#include <stdbool.h>
#include <stdint.h>

struct procmaps_line {
	uint64_t low, high;
	int field; /* 0 low, 1 high, 2 permissions, 3 rest of the line */
	bool readable;
};

/* Feeds one character; true at the end of a line, which is then complete. Start with all zero. */
static inline bool procmaps_feed(struct procmaps_line *l, char c)
{
	uint64_t digit = c <= '9' ? (uint64_t)(c - '0') : (uint64_t)(c - 'a' + 10);

	if (c == '\n')
		return true;
	switch (l->field) {
	case 0:
		if (c == '-')
			l->field = 1;
		else
			l->low = l->low << 4 | digit;
		break;
	case 1:
		if (c == ' ')
			l->field = 2;
		else
			l->high = l->high << 4 | digit;
		break;
	case 2:
		l->readable = c == 'r';
		l->field = 3;
		break;
	}
	return false;
}

#endif
