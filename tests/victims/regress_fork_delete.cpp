/* What was made by new before fork is deleted in the child, and in the parent. */
#include <cstdio>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_STATUS = 7 };

int main()
{
	int *one = new int(3), *many = new int[4], status = 0;
	pid_t child = fork();

	if (child == 0) {
		delete one;
		delete[] many;
		one = new int(4);
		delete one;
		_exit(CHILD_STATUS);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return 2;
	delete one;
	delete[] many;
	std::printf("child: %#x\n", static_cast<unsigned int>(status));
	return WIFEXITED(status) && WEXITSTATUS(status) == CHILD_STATUS ? 0 : 1;
}
