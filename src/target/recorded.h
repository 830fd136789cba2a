/* Is seep's recorder in a process, and since when: a look from outside that needs few rights. */
#ifndef SEEP_TARGET_RECORDED_H
#define SEEP_TARGET_RECORDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum recorded_answer {
	RECORDED_UNKNOWN, /* the memory map may not be read */
	RECORDED_NO,
	RECORDED_YES,
};

struct recorded {
	enum recorded_answer answer;
	uint64_t since_ns; /* CLOCK_MONOTONIC; 0: not known */
};

/* Looks at the process behind a descriptor from proc_open(). Never fails: see RECORDED_UNKNOWN. */
struct recorded recorded_look(int dir);
/*
 * Does a page with these first bytes begin what the recorder maps for itself alone? How many bytes
 * that has, 0: it does not.
 */
uint64_t recorded_private_bytes(const void *page, size_t len);

#endif
