/* Whose child is it: the line of parents as /proc shows it at this moment. */
#ifndef SEEP_TARGET_DESCENT_H
#define SEEP_TARGET_DESCENT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Is pid a child of `ancestor`, or a child's child and so on? A process whose parent has ended
 * belongs to somebody else by then and is none. False also when it is gone.
 */
bool is_descendant(int32_t pid, int32_t ancestor);

#endif
