/* What glibc's _dl_find_object answers. */
#ifndef SEEP_REC_ELF_FOUND_H
#define SEEP_REC_ELF_FOUND_H

struct link_map;

/* glibc's struct dl_find_object on x86-64 (dlfcn/dlfcn.h, 2.35), declared here for older headers.
 */
struct elf_found {
	unsigned long long flags;
	void *map_start, *map_end;
	struct link_map *link_map;
	void *eh_frame_hdr;
	unsigned long long reserved[7];
};

#endif
