/*
 * CRC-32 of ISO 3309 (reflected polynomial 0xedb88320), eight bytes a step with tables made at
 * first use: debug files have hundreds of megabytes.
 */
#include "sym/crc.h"

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

enum {
	STRIDE = 8,
	BUFFER = 1 << 20,
};

static uint32_t table[STRIDE][256];

static void make_tables(void)
{
	uint32_t i, k;

	for (i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (k = 0; k < 8; k++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
		table[0][i] = crc;
	}
	for (k = 1; k < STRIDE; k++) {
		for (i = 0; i < 256; i++)
			table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 255];
	}
}

static uint32_t crc_add(uint32_t crc, const uint8_t *p, size_t len)
{
	for (; len >= STRIDE; len -= STRIDE, p += STRIDE) {
		crc = table[7][(crc ^ p[0]) & 255] ^ table[6][(crc >> 8 ^ p[1]) & 255] ^
		      table[5][(crc >> 16 ^ p[2]) & 255] ^ table[4][crc >> 24 ^ p[3]] ^
		      table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^ table[0][p[7]];
	}
	for (; len > 0; len--, p++)
		crc = crc >> 8 ^ table[0][(crc ^ *p) & 255];
	return crc;
}

bool crc_of_file_is(int fd, uint32_t wanted)
{
	uint8_t *buffer = mem_alloc(BUFFER);
	uint32_t crc = 0xffffffffu;
	off_t at = 0;
	ssize_t got;

	if (table[0][1] == 0)
		make_tables();
	while ((got = pread(fd, buffer, BUFFER, at)) > 0) {
		crc = crc_add(crc, buffer, (size_t)got);
		at += got;
	}
	free(buffer);
	return got == 0 && (crc ^ 0xffffffffu) == wanted;
}
