/* The checksum that ties a program to its separate debug file (.gnu_debuglink). */
#ifndef SEEP_SYM_CRC_H
#define SEEP_SYM_CRC_H

#include <stdbool.h>
#include <stdint.h>

/* Reads the whole file; the descriptor's position does not matter and is not moved. */
bool crc_of_file_is(int fd, uint32_t crc);

#endif
