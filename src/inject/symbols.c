/*
 * Reading .symtab. Symbols may be millions and the names wanted are few, so each name is first
 * looked at by a bit for its first four characters.
 */
#include "inject/symbols.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "inject/functions.h"

#define SECTIONS_MAX 65535
#define TABLE_MAX (1ull << 30)
#define PIECE_SYMBOLS 32768
#define START_BYTES 4 /* no name that is looked for is shorter */
#define START_BITS 14

struct starts {
	uint64_t bits[(1u << START_BITS) / 64];
};

static uint32_t start_of(const char *name)
{
	uint32_t word;

	memcpy(&word, name, START_BYTES);
	return word * 2654435761u >> (32 - START_BITS);
}

static void starts_add(struct starts *s, const char *name)
{
	uint32_t bit = start_of(name);

	s->bits[bit / 64] |= UINT64_C(1) << bit % 64;
}

static bool starts_has(const struct starts *s, const char *name)
{
	uint32_t bit = start_of(name);

	return s->bits[bit / 64] >> bit % 64 & 1;
}

static bool read_at(int fd, void *buffer, uint64_t nr, uint64_t at)
{
	uint64_t done = 0;

	while (done < nr) {
		ssize_t got = pread(fd, (char *)buffer + done, nr - done, (off_t)(at + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		done += (uint64_t)got;
	}
	return true;
}

static bool lies_in(const Elf64_Shdr *s, uint64_t bytes)
{
	return s->sh_offset <= bytes && s->sh_size <= bytes - s->sh_offset;
}

/* The table and its names. 0 or negative errno. */
static int find_table(int fd, Elf64_Shdr *ret_symbols, Elf64_Shdr *ret_strings)
{
	Elf64_Shdr *sections = NULL;
	uint64_t bytes, nr;
	Elf64_Ehdr h;
	struct stat st;
	int r = -ENOENT;

	if (fstat(fd, &st) < 0 || !read_at(fd, &h, sizeof(h), 0))
		return -EPROTO;
	bytes = (uint64_t)st.st_size;
	nr = h.e_shnum;
	if (memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 || h.e_ident[EI_CLASS] != ELFCLASS64)
		return -EPROTO;
	if (nr == 0 || nr > SECTIONS_MAX)
		return -ENOENT;
	if (h.e_shentsize != sizeof(*sections) || h.e_shoff > bytes ||
	    nr * sizeof(*sections) > bytes - h.e_shoff)
		return -EPROTO;
	sections = mem_alloc_array(nr, sizeof(*sections));
	if (!read_at(fd, sections, nr * sizeof(*sections), h.e_shoff))
		r = -EPROTO;
	for (uint64_t i = 0; i < nr && r == -ENOENT; i++) {
		const Elf64_Shdr *s = &sections[i];

		if (s->sh_type != SHT_SYMTAB)
			continue;
		r = -EPROTO;
		if (s->sh_link >= nr || s->sh_entsize != sizeof(Elf64_Sym) || !lies_in(s, bytes) ||
		    !lies_in(&sections[s->sh_link], bytes))
			break;
		*ret_symbols = *s;
		*ret_strings = sections[s->sh_link];
		r = s->sh_size > TABLE_MAX || ret_strings->sh_size > TABLE_MAX ? -EFBIG : 0;
	}
	free(sections);
	return r;
}

static void look_at(const Elf64_Sym *s, const char *strings, uint64_t strings_nr,
		    const struct starts *starts, void (*each)(void *, const struct symbol *),
		    void *arg)
{
	unsigned int type = ELF64_ST_TYPE(s->st_info);
	const char *name = strings + s->st_name;
	struct symbol symbol;

	if ((type != STT_FUNC && type != STT_GNU_IFUNC) || s->st_shndx == SHN_UNDEF ||
	    !s->st_value || s->st_name >= strings_nr || strings_nr - s->st_name < START_BYTES ||
	    !starts_has(starts, name))
		return;
	symbol = (struct symbol){
		.name = name,
		.addr = s->st_value,
		.size = s->st_size,
		.is_local = ELF64_ST_BIND(s->st_info) == STB_LOCAL,
		.is_chosen = type == STT_GNU_IFUNC,
	};
	each(arg, &symbol);
}

int symbols_each(int fd, const char *const *more, void (*each)(void *arg, const struct symbol *s),
		 void *arg)
{
	Elf64_Shdr table, names;
	struct starts starts = {{0}};
	Elf64_Sym *piece;
	uint64_t nr;
	char *strings;
	int r = find_table(fd, &table, &names);

	if (r < 0)
		return r;
	for (size_t i = 0; i < inject_names_nr; i++)
		starts_add(&starts, inject_names[i].name);
	for (; more && *more; more++)
		starts_add(&starts, *more);
	nr = table.sh_size / sizeof(*piece);
	/* The last name ends with the table, whatever the file says. */
	strings = mem_alloc(names.sh_size + 1);
	piece = mem_alloc_array(PIECE_SYMBOLS, sizeof(*piece));
	if (!read_at(fd, strings, names.sh_size, names.sh_offset))
		r = -EPROTO;
	for (uint64_t i = 0; i < nr && r == 0; i += PIECE_SYMBOLS) {
		uint64_t now = nr - i < PIECE_SYMBOLS ? nr - i : PIECE_SYMBOLS;

		if (!read_at(fd, piece, now * sizeof(*piece), table.sh_offset + i * sizeof(*piece)))
			r = -EPROTO;
		for (uint64_t j = 0; j < now && r == 0; j++)
			look_at(&piece[j], strings, names.sh_size, &starts, each, arg);
	}
	free(piece);
	free(strings);
	return r;
}
