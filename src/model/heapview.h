/*
 * Heaps as tables: a row a heap with a row that sums them up, the balance of the process's resident
 * memory, and the checks of the allocators' books. Filled from any snapshot that has heaps.
 */
#ifndef SEEP_MODEL_HEAPVIEW_H
#define SEEP_MODEL_HEAPVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_figures;
struct sheet;
struct snapshot;

#define HEAPS_SCHEMA "seep-heaps-1"

/* Rows, totals, the part "balance", and a note for each heap that is not as it should be. */
void heapview_make(const struct snapshot *s, struct sheet *ret);

/* What the checks say. */
struct heap_verdicts {
	size_t nr, failed;
	size_t damaged_heaps; /* with a fault, or a check that failed, while nobody was in them */
	size_t locked_heaps;  /* whose checks mean nothing: somebody was changing them */
	bool consistent;      /* one instant; otherwise failed checks mean nothing */
	bool damage;	      /* the verdict: something is broken */
};

void heapview_judge(const struct snapshot *s, struct heap_verdicts *ret);
/* A row a check, the failed ones first, and a note for each heap with a fault. */
void heapview_checks(const struct snapshot *s, struct sheet *ret);

/* Sums of all heaps that are not inside others. */
void heapview_sum(const struct snapshot *s, struct heap_figures *ret);
/* What is known of any of them: HEAP_HAS_BLOCKS, HEAP_HAS_RESIDENCY. */
unsigned int heapview_known(const struct snapshot *s);

#endif
