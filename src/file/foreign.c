/* What a file is that is not a snapshot; see foreign.h. */
#include "file/foreign.h"

#include <stdbool.h>
#include <string.h>

#include "file/layout.h"

struct sign {
	const char *bytes;
	size_t len;
	struct foreign is;
};

#define SIGN(bytes, ...)                                                                           \
	{                                                                                          \
		bytes, sizeof(bytes) - 1,                                                          \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}

static const struct sign signs[] = {
	SIGN("\x89SEEP", "it was changed on its way, as by a text-mode transfer",
	     "copy it again in binary mode"),
	SIGN("\x1f\x8b", "it is a gzip-compressed file",
	     "a packed snapshot must be unpacked first; other tools' recordings are not read"),
	SIGN("\x28\xb5\x2f\xfd", "it is a zstd-compressed file",
	     "a packed snapshot must be unpacked first; other tools' recordings are not read"),
	SIGN("\xfd"
	     "7zXZ",
	     "it is an xz-compressed file", "a packed snapshot must be unpacked first"),
	SIGN("BZh", "it is a bzip2-compressed file", "a packed snapshot must be unpacked first"),
	SIGN("PK\x03\x04", "it is a zip archive", "a snapshot must be unpacked first"),
	SIGN("PERFILE2", "it is a recording of perf", NULL),
	SIGN("SQLite format 3", "it is an SQLite database", NULL),
	SIGN("desc: ", "it is a massif output file", NULL),
	SIGN("// Debug library initialized", "it is a UMDH log", NULL),
	SIGN("<!DOCTYPE", "it is an HTML page", NULL),
	SIGN("<html", "it is an HTML page", NULL),
	SIGN("{", "it looks like JSON", NULL),
	SIGN("[", "it looks like JSON", NULL),
};

static bool starts(const uint8_t *data, size_t len, const char *sign, size_t sign_len)
{
	return len >= sign_len && !memcmp(data, sign, sign_len);
}

/* ELF: byte 5 is the byte order, bytes 16 and 17 the kind (4: core). */
static struct foreign guess_elf(const uint8_t *data, size_t len)
{
	unsigned int kind = len < 18 ? 0 : data[5] == 2 ? data[17] : data[16];

	if (kind == 4)
		return (struct foreign){"it is a core file", NULL};
	return (struct foreign){"it is an ELF program or library",
				"to record a program, use seep run -- PROGRAM"};
}

/* heaptrack's own stream begins with a version line: "v 10400 3". */
static bool is_heaptrack(const uint8_t *data, size_t len)
{
	return len > 3 && data[0] == 'v' && data[1] == ' ' && data[2] >= '0' && data[2] <= '9';
}

static bool is_text(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((data[i] < ' ' && !memchr("\t\n\r\f\x1b", data[i], 5)) || data[i] == 0x7f)
			return false;
	return true;
}

static bool is_zero(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i])
			return false;
	return true;
}

struct foreign foreign_guess(const uint8_t *data, size_t len)
{
	if (starts(data, len,
		   "\x7f"
		   "ELF",
		   4))
		return guess_elf(data, len);
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
		if (starts(data, len, signs[i].bytes, signs[i].len))
			return signs[i].is;
	if (is_heaptrack(data, len))
		return (struct foreign){"it looks like a heaptrack recording", NULL};
	if (is_zero(data, len))
		return (struct foreign){"it begins with zeroes",
					"the file may never have reached "
					"the disk: restore it from a copy"};
	if (is_text(data, len))
		return (struct foreign){"it is a text file", NULL};
	return (struct foreign){"it is not a seep file", NULL};
}
