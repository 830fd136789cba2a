/* A program that never allocates: everything about it is zero, and that is an answer too. */
#include "truth.h"

int main(int argc, char **argv)
{
	truth_print("noalloc", "end");
	truth_wait(argc, argv);
	return 0;
}
