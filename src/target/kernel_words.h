/*
 * Words that the kernel keeps for a process and hands back later: a block may be held by nothing
 * else. Today: the data of epoll registrations (fdinfo of an epoll descriptor, "data:", Linux 3.8)
 * and the value of POSIX timers (/proc/PID/timers, needs CONFIG_CHECKPOINT_RESTORE).
 */
#ifndef SEEP_TARGET_KERNEL_WORDS_H
#define SEEP_TARGET_KERNEL_WORDS_H

#include <stddef.h>
#include <stdint.h>

enum kernel_word_kind { KERNEL_WORD_EPOLL, KERNEL_WORD_TIMER };

struct kernel_word {
	enum kernel_word_kind kind;
	int32_t number; /* the epoll descriptor, or the timer's id */
	int32_t fd;	/* epoll: the descriptor that is watched */
	uint64_t value;
};

/*
 * dir: a descriptor of /proc/PID. What is not permitted is left out. Caller frees *ret. 0 or
 * -ESRCH.
 */
int kernel_words_read(int dir, struct kernel_word **ret, size_t *ret_nr);

#endif
