/* Names of mappings; see region_names.h. */
#include "model/region_names.h"

#include <string.h>

#include "base/text.h"
#include "wire/wire.h"

#define NR(a) (sizeof(a) / sizeof((a)[0]))

/*
 * The first beginning that fits decides. Devices: what the drivers of graphics, networks and rings
 * call their mappings; in Linux, drivers/gpu/drm, drivers/infiniband, io_uring/, fs/aio.c.
 */
static const struct {
	const char *beginning;
	enum region_kind kind;
} names[] = {
	{"/memfd:" WIRE_NAME, REGION_RECORDER},
	{"/memfd:", REGION_SHARED},
	{"/SYSV", REGION_SHARED},
	{"/dev/shm/", REGION_SHARED},
	{"/run/shm/", REGION_SHARED},
	{"/dev/zero", REGION_SHARED},
	{"/dev/ashmem", REGION_SHARED},
	{"/dev/hugepages/", REGION_SHARED},
	{"/anon_hugepage", REGION_SHARED},
	{"[anon_shmem:", REGION_SHARED},
	{"/dev/", REGION_DEVICE},
	{"/drm mm object", REGION_DEVICE},
	{"/i915", REGION_DEVICE},
	{"/dmabuf", REGION_DEVICE},
	{"/[aio]", REGION_DEVICE},
	{"/sys/devices/", REGION_DEVICE},
	{"anon_inode:", REGION_DEVICE},
	{"socket:", REGION_DEVICE},
	{"[vdso]", REGION_KERNEL},
	{"[vvar", REGION_KERNEL},
	{"[vsyscall]", REGION_KERNEL},
	{"[uprobes]", REGION_KERNEL},
	{"[sigpage]", REGION_KERNEL},
	{"[vectors]", REGION_KERNEL},
	{"/", REGION_MAPPED_FILE},
};

/* Names that C libraries and runtimes give; glibc's with its tunable glibc.mem.decorate_maps. */
static const struct {
	const char *beginning;
	enum region_kind kind;
} given_names[] = {
	{" glibc: malloc arena", REGION_HEAP},
	{" glibc: malloc", REGION_BLOCK},
	{" glibc: loader malloc", REGION_HEAP},
	{" glibc: pthread", REGION_STACK},
	{" glibc: .bss", REGION_IMAGE},
	{"libc_malloc", REGION_HEAP},
	{"scudo:", REGION_HEAP},
	{"GWP-ASan", REGION_HEAP},
	{"stack_and_tls:", REGION_STACK},
	{"thread signal stack", REGION_STACK},
	{".bss", REGION_IMAGE},
	{"cfi shadow", REGION_RESERVED},
};

const char *region_given_name(const char *path, size_t *ret_len)
{
	size_t len = strlen(path);

	if (!text_starts_with(path, "[anon:") || path[len - 1] != ']')
		return NULL;
	*ret_len = len - strlen("[anon:]");
	return path + strlen("[anon:");
}

static struct region_name anonymous(enum region_kind kind)
{
	return (struct region_name){.kind = kind, .anonymous = true};
}

struct region_name region_name_of(const char *path, bool shared)
{
	size_t len;
	const char *given = region_given_name(path, &len);

	if (given) {
		for (size_t i = 0; i < NR(given_names); i++) {
			if (text_starts_with(given, given_names[i].beginning))
				return anonymous(given_names[i].kind);
		}
		return anonymous(REGION_UNKNOWN);
	}
	if (!*path)
		return anonymous(shared ? REGION_SHARED : REGION_UNKNOWN);
	if (strcmp(path, "[heap]") == 0)
		return anonymous(REGION_HEAP);
	if (text_starts_with(path, "[stack"))
		return (struct region_name){.kind = REGION_STACK,
					    .anonymous = true,
					    .is_main = path[strlen("[stack")] == ']'};
	for (size_t i = 0; i < NR(names); i++) {
		if (!text_starts_with(path, names[i].beginning))
			continue;
		/* A private copy of zeroes, huge pages of its own: no more than anonymous memory.
		 */
		if (!shared && names[i].kind == REGION_SHARED)
			return text_starts_with(path, "/dev/zero") ||
					       text_starts_with(path, "/anon_hugepage")
				       ? anonymous(REGION_UNKNOWN)
				       : (struct region_name){.kind = REGION_MAPPED_FILE};
		return (struct region_name){.kind = names[i].kind};
	}
	return (struct region_name){.kind = REGION_MAPPED_FILE};
}
