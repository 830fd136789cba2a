/* seep: finds where a Linux process's native memory goes, and who let it go there. */
#include "cmd/cmd.h"

int main(int argc, char **argv)
{
	return cmd_main(argc, argv);
}
