/* The system calls that the recorder itself makes inside a process. */
#ifndef SEEP_INJECT_RECORDER_CALLS_H
#define SEEP_INJECT_RECORDER_CALLS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Would the seccomp filters of a thread, which is stopped by us, let the recorder work? False and
 * *ret_call ("mmap"): one of its calls would kill the process, or be handed to somebody
 * else, or one without which it cannot work would fail; "" where the filters cannot be seen.
 */
bool recorder_calls_pass(int32_t tid, const char **ret_call);
/*
 * Must it do without process_vm_readv there? Services are often killed for that. Then modules that
 * are loaded later may have no names, where the C library does not tell of them.
 */
bool recorder_calls_kill_peek(int32_t tid);

#endif
