/* Room that control groups leave a process: cgroups(7), versions 1 and 2. */
#ifndef SEEP_TARGET_CGROUP_H
#define SEEP_TARGET_CGROUP_H

#include <stdint.h>

/*
 * How much more the process's group, and all groups above it, may use; UINT64_MAX: no limit that
 * can be seen from here. dir: a descriptor of /proc/PID. Memory in bytes, where what is only cached
 * of files counts as room.
 */
uint64_t cgroup_memory_room(int dir);
uint64_t cgroup_pids_room(int dir);

#endif
