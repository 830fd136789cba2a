/*
 * The two texts of Microsoft's UMDH, so that its many readers read us: the report of a comparison
 * (umdh_report.c) and the log of one snapshot (umdh_log.c). The layouts were taken from the tool's
 * output only (version 6.1 and later). Lines end CR LF; numbers are hex unless decimal was asked
 * for; logs are in upper case, reports in lower case, ids always in upper case.
 */
#ifndef SEEP_FORMAT_UMDH_H
#define SEEP_FORMAT_UMDH_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct format_options;
struct line;
struct lines;
struct out;
struct snapshot;
struct str;
struct view;

void umdh_report(struct out *o, const struct view *v, const struct format_options *options);
int umdh_log(struct out *o, const struct view *v, const struct format_options *options,
	     struct error *e);

/* "\tmodule!function+0000003C (file, line)\r\n" for every line but the recorder's and marks. */
void umdh_stack(struct str *out, const struct lines *lines);
/* The DBGHELP lines: which modules have lines, names, nothing. */
void umdh_modules(struct str *out, const struct snapshot *s);
/* An id is 0 only for stacks without frames, as readers of UMDH logs expect. */
uint32_t umdh_id(const struct snapshot *s, uint32_t id, uint32_t node);
/* Bytes that the allocator adds to a block of this size; 0 where we do not know the allocator. */
uint64_t umdh_overhead(const struct snapshot *s, uint64_t size);

#endif
