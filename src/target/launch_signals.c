/* See launch_signals.h. */
#include "target/launch_signals.h"

#include <errno.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "target/descent.h"

/* Passed on when sent to us alone; the first four end a program that does not expect them. */
static const int passed_on[] = {SIGHUP,	 SIGINT,  SIGQUIT,  SIGTERM,
				SIGUSR1, SIGUSR2, SIGWINCH, SIGTSTP};
#define ENDING_NR 4

static bool ends_us(int signo)
{
	for (int i = 0; i < ENDING_NR; i++)
		if (passed_on[i] == signo)
			return true;
	return false;
}

int launch_signals_open(struct launch_signals *s)
{
	struct sigaction normal = {.sa_handler = SIG_DFL};
	sigset_t mask;

	sigemptyset(&mask);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
		sigaddset(&mask, passed_on[i]);
	sigaddset(&mask, SIGCHLD);
	sigaddset(&mask, SIGCONT);
	sigaddset(&mask, SIGPIPE); /* from our own writing; EPIPE is enough */
	*s = (struct launch_signals){.fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC)};
	if (s->fd < 0)
		return -errno;
	sigprocmask(SIG_BLOCK, &mask, &s->old_mask);
	/* Where it is ignored the kernel collects children by itself, and with them their status.
	 */
	sigaction(SIGCHLD, &normal, &s->old_chld);
	return 0;
}

void launch_signals_restore(const struct launch_signals *s)
{
	sigaction(SIGCHLD, &s->old_chld, NULL);
	sigprocmask(SIG_SETMASK, &s->old_mask, NULL);
}

void launch_signals_close(struct launch_signals *s)
{
	struct signalfd_siginfo drop;

	if (s->fd < 0)
		return;
	while (read(s->fd, &drop, sizeof(drop)) == sizeof(drop))
		;
	close(s->fd);
	s->fd = -1;
	launch_signals_restore(s);
}

/* The program has stopped or gone on; SIGCHLD says so once for several changes. */
static void note_changes(struct launch_signals *s, int32_t pid)
{
	siginfo_t si;

	for (;;) {
		si.si_pid = 0;
		if (waitid(P_PID, (id_t)pid, &si, WSTOPPED | WCONTINUED | WNOHANG) < 0 ||
		    !si.si_pid)
			return;
		s->stopped_by = si.si_code == CLD_STOPPED ? si.si_status : 0;
	}
}

static void continued(struct launch_signals *s, int32_t pid)
{
	s->stop_typed = false;
	note_changes(s, pid);
	if (s->stopped_by)
		kill(pid, SIGCONT);
	s->stopped_by = 0;
}

/*
 * Stops us too, when the program was stopped from the terminal. A plain SIGSTOP is somebody's
 * business with the program alone: the SIGCONT that ends it would not wake us.
 */
static void stop_with_program(struct launch_signals *s)
{
	if (!s->stopped_by || (!s->stop_typed && s->stopped_by == SIGSTOP))
		return;
	s->stop_typed = false;
	kill(getpid(), SIGSTOP);
}

/*
 * Did only we get it? Not what the kernel sent on behalf of the terminal, with one exception: at a
 * hang-up the session's leader alone is told. Not what the program or its children send, for that
 * is sent to the group that we share.
 */
static bool was_for_us_alone(const struct signalfd_siginfo *si)
{
	if (si->ssi_code > 0)
		return si->ssi_signo == SIGHUP && getsid(0) == getpid();
	return !si->ssi_pid || !is_descendant((int32_t)si->ssi_pid, getpid());
}

bool launch_signals_handle(struct launch_signals *s, int32_t pid)
{
	struct signalfd_siginfo si;
	bool leave = false;

	while (read(s->fd, &si, sizeof(si)) == sizeof(si)) {
		int signo = (int)si.ssi_signo;

		if (!pid) {
			leave |= ends_us(signo);
		} else if (signo == SIGCHLD) {
			note_changes(s, pid);
		} else if (signo == SIGCONT) {
			continued(s, pid);
		} else if (signo != SIGPIPE) {
			if (signo == SIGTSTP && si.ssi_code > 0)
				s->stop_typed = true;
			if (was_for_us_alone(&si))
				kill(pid, signo);
		}
	}
	stop_with_program(s);
	return leave;
}
