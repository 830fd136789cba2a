/*
 * Prints "ready PID", then the name of every signal that it gets, until SIGTERM, which ends it with
 * status 9. Stops itself at SIGTSTP as programs with a full screen do: after a last word.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
	sigset_t all;
	int signo;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("ready %d\n", (int)getpid());
	while (sigwait(&all, &signo) == 0) {
		printf("got %s\n", sigabbrev_np(signo));
		if (signo == SIGTERM)
			return 9;
		if (signo == SIGTSTP)
			kill(getpid(), SIGSTOP);
	}
	return 1;
}
