/*
 * A thread that is about to execute a program, held at the end of that exec: before the first
 * instruction of the new program.
 *
 * The kernel has asked (fanotify, FAN_OPEN_EXEC_PERM) and waits for the answer, which is always
 * yes. The caller must be the only user of SIGALRM: should we hang, it ends us after ten seconds,
 * and the kernel lets everybody pass.
 */
#ifndef SEEP_TARGET_CATCH_EXEC_H
#define SEEP_TARGET_CATCH_EXEC_H

#include <stdint.h>

#define CATCH_WATCHDOG_S 10

/*
 * starts: the fanotify descriptor; fd, tid: of its event (FAN_REPORT_TID); fd is closed. The pid of
 * the process, traced and stopped: PTRACE_DETACH lets it go. 0: it is not held; *ret_why says why,
 * unless its exec came to nothing.
 */
int32_t catch_exec(int starts, int fd, int32_t tid, const char **ret_why);

/*
 * Follows a thread that the caller has seized (PTRACE_O_TRACEEXEC) to the end of its exec, until
 * the deadline (freeze_now_ns() time). The pid that it has then, stopped; 0: it did not come there,
 * or its process has ended, and it is let go.
 */
int32_t catch_exec_follow(int32_t tid, int32_t pid, uint64_t deadline_ns);

#endif
