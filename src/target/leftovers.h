/*
 * What is left of a clone once it is dead: a zombie among the target's children, which only the
 * target can remove. seep has it do so when it is done; when seep was killed, the next seep does.
 */
#ifndef SEEP_TARGET_LEFTOVERS_H
#define SEEP_TARGET_LEFTOVERS_H

#include <stddef.h>
#include <stdint.h>

/* A clone is marked with this (it is also the first to be killed when memory is short). */
#define CLONE_OOM_SCORE "1000"

/*
 * Zombies that are certainly of clones: no exit signal, the greatest OOM score and killed, or ended
 * with REMOTE_CALL_EXIT. As pids of the target's own namespace; caller frees. dir: of /proc/PID.
 */
void leftovers_find(int dir, int32_t pid, int32_t **ret, size_t *ret_nr);

#endif
