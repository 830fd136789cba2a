/* What a file is that is not a snapshot. */
#ifndef SEEP_FILE_FOREIGN_H
#define SEEP_FILE_FOREIGN_H

#include <stddef.h>
#include <stdint.h>

struct foreign {
	const char *what; /* "it is a gzip-compressed file"; never NULL */
	const char *hint; /* NULL: none beyond how to make a snapshot */
};

/* From the first bytes, some dozens at least where the file has so many. */
struct foreign foreign_guess(const uint8_t *data, size_t len);

#endif
