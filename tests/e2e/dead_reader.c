/*
 * What a reader leaves behind that dies in the middle of its snapshot: the recorder goes on noting
 * every change for it.
 *
 * dead_reader PID
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "target/table.h"

int main(int argc, char **argv)
{
	struct error e = {0};
	struct table t;

	if (argc != 2)
		return 98;
	if (table_open_pid(atoi(argv[1]), &t, &e) < 0) {
		fprintf(stderr, "dead_reader: %s\n", e.message);
		return 99;
	}
	__atomic_fetch_or(&t.header->slow, WIRE_SLOW_SNAPSHOT, __ATOMIC_SEQ_CST);
	return 0;
}
