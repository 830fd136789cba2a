/* What the two parts of the preflight share: the process, and its entries. */
#ifndef SEEP_INJECT_PREFLIGHT_PRIVATE_H
#define SEEP_INJECT_PREFLIGHT_PRIVATE_H

#include "inject/preflight.h"

/* Adds a reason not to do it; format and hint as in struct preflight_item. */
void preflight_refuse(struct preflight *p, enum preflight_code code, const char *hint,
		      const char *format, ...) __attribute__((format(printf, 4, 5)));
void preflight_note(struct preflight *p, enum preflight_code code, const char *hint,
		    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Looks at each entry of p->entries: can it be taken, is it what its file has? */
void preflight_entries(struct preflight *p);

#endif
