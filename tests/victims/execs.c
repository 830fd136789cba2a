/* Becomes another program: execs PROGRAM [ARGUMENT...]. Or, as "execs -f …", waits for it as a
 * child. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int child = argc > 2 && !strcmp(argv[1], "-f"), status = 1;
	void *volatile block = malloc(100);

	if (argc < 2 || !block)
		return 2;
	if (!child || fork() == 0) {
		execv(argv[1 + child], argv + 1 + child);
		_exit(3);
	}
	wait(&status);
	return status != 0;
}
