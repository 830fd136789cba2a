/*
 * Runs a command and says what it cost, with all that it started: measure OUT.json SECONDS COMMAND…
 *
 * CPU time is that of every process that was waited for, and of those that lost their parents. The
 * peak of resident memory is that of the largest of them. After SECONDS everything in the command's
 * process group is killed. Exit status: the command's, or 128 + its signal; 125 when it could not
 * be measured.
 *
 * Small on purpose: a process's peak includes what it was before exec.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FAILED 125
#define GRACE_SECONDS 5

static volatile sig_atomic_t alarms;

static void on_alarm(int signal)
{
	(void)signal;
	alarms++;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

struct cost {
	double wall_s, user_s, system_s;
	long peak_kb;
	int wait_status;
	bool overtime;
};

/* Everything that ends, until nothing is left; the wall clock stops with the command itself. */
static void wait_for_all(pid_t command, double began_s, struct cost *c)
{
	for (;;) {
		struct rusage usage;
		int status;
		pid_t pid = wait4(-1, &status, 0, &usage);

		if (pid > 0) {
			c->user_s += seconds(usage.ru_utime);
			c->system_s += seconds(usage.ru_stime);
			if (usage.ru_maxrss > c->peak_kb)
				c->peak_kb = usage.ru_maxrss;
			if (pid == command) {
				c->wall_s = now_s() - began_s;
				c->wait_status = status;
			}
		} else if (errno != EINTR || alarms > 1) {
			return;
		} else if (alarms) {
			c->overtime = true;
			kill(-command, SIGKILL);
			alarm(GRACE_SECONDS);
		}
	}
}

static int write_cost(const char *path, const struct cost *c, int status)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return -1;
	fprintf(f,
		"{\"wall_s\": %.6f, \"user_s\": %.6f, \"system_s\": %.6f, \"peak_bytes\": %lld, "
		"\"status\": %d, \"overtime\": %s}\n",
		c->wall_s, c->user_s, c->system_s, (long long)c->peak_kb * 1024, status,
		c->overtime ? "true" : "false");
	return fclose(f);
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_alarm}; /* no SA_RESTART: wait4 must return */
	struct cost cost = {0};
	double began_s;
	pid_t command;
	int status;

	if (argc < 4) {
		fprintf(stderr, "usage: measure OUT.json SECONDS COMMAND [ARGUMENT...]\n");
		return FAILED;
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	sigaction(SIGALRM, &action, NULL);
	began_s = now_s();
	command = fork();
	if (command < 0) {
		perror("measure: fork");
		return FAILED;
	}
	if (command == 0) {
		setpgid(0, 0);
		execvp(argv[3], argv + 3);
		fprintf(stderr, "measure: cannot start '%s': %s\n", argv[3], strerror(errno));
		_exit(FAILED);
	}
	setpgid(command, command);
	alarm((unsigned int)strtoul(argv[2], NULL, 10));
	wait_for_all(command, began_s, &cost);
	status = WIFEXITED(cost.wait_status) ? WEXITSTATUS(cost.wait_status)
					     : 128 + WTERMSIG(cost.wait_status);
	if (write_cost(argv[1], &cost, status)) {
		fprintf(stderr, "measure: cannot write '%s': %s\n", argv[1], strerror(errno));
		return FAILED;
	}
	return status;
}
