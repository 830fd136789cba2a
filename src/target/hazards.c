/* Checks before a process is cloned; see hazards.h. */
#include "target/hazards.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/str.h"
#include "base/text.h"
#include "target/cgroup.h"
#include "target/maps.h"
#include "target/patches.h"
#include "target/proc.h"
#include "target/process.h"
#include "target/seccomp.h"
#include "target/smaps.h"

#define FILE_MAX (1u << 20)
#define MIB (1ull << 20)
/* The clone is one process more; its parent may want to start some of its own meanwhile. */
#define PIDS_SPARE 8
/* While the clone lives, every page that the process writes to is copied. */
#define LEAST_SPARE_BYTES (16 * MIB)
#define WRITTEN_SHARE 8 /* one page in so many */

static uint64_t value_or_0(const char *text, const char *key)
{
	uint64_t value = 0;

	proc_find_value(text, key, &value);
	return value;
}

static bool read_whole(const char *path, struct str *text)
{
	return io_read_file(path, FILE_MAX, text) == 0;
}

static bool overcommit_is_strict(void)
{
	struct str text = STR_INIT;
	bool strict;

	strict = read_whole("/proc/sys/vm/overcommit_memory", &text) && text.data[0] == '2';
	str_release(&text);
	return strict;
}

static uint64_t memory_available(void)
{
	struct str text = STR_INIT;
	uint64_t bytes = UINT64_MAX;

	if (read_whole("/proc/meminfo", &text))
		proc_find_value(text.data, "MemAvailable", &bytes);
	str_release(&text);
	return bytes;
}

/* Page tables of the clone, and copies of the pages that will be written to while it lives. */
static uint64_t bytes_needed(const char *status)
{
	uint64_t anonymous = value_or_0(status, "RssAnon"), spare;

	spare = anonymous / WRITTEN_SHARE;
	return value_or_0(status, "VmPTE") +
	       (spare > LEAST_SPARE_BYTES ? spare : LEAST_SPARE_BYTES);
}

static bool memory_is_short(int dir, const char *status, struct hazards *h)
{
	uint64_t need = bytes_needed(status), room;

	if (overcommit_is_strict()) {
		snprintf(h->why, sizeof(h->why),
			 "the system promises no more memory than it has "
			 "(vm.overcommit_memory is 2)");
		return true;
	}
	room = cgroup_memory_room(dir);
	if (room < need) {
		snprintf(h->why, sizeof(h->why),
			 "its control group has only %llu MiB of memory left",
			 (unsigned long long)(room / MIB));
		return true;
	}
	room = memory_available();
	if (room < need) {
		snprintf(h->why, sizeof(h->why), "the system has only %llu MiB of memory left",
			 (unsigned long long)(room / MIB));
		return true;
	}
	return false;
}

/* Forking below such a driver is for the program to decide, which knows what it has set up. */
static const char *driver_mapping(const struct maps *maps)
{
	static const char *const drivers[] = {"/dev/nvidia", "/dev/infiniband/", "/dev/kfd",
					      "/dev/dri/",   "/dev/vfio/",	 NULL};

	for (size_t i = 0; i < maps->nr; i++) {
		for (size_t j = 0; drivers[j]; j++) {
			if (text_starts_with(maps->items[i].path, drivers[j]))
				return maps->items[i].path;
		}
	}
	return NULL;
}

/* Does the process have such a descriptor? Also true when that cannot be told. */
static bool has_descriptor(int dir, const char *what)
{
	bool found = false;
	int32_t *fds;
	char *link;
	size_t nr;

	if (proc_list_numbers(dir, "fd", &fds, &nr) < 0)
		return true;
	for (size_t i = 0; i < nr && !found; i++) {
		char path[32];

		snprintf(path, sizeof(path), "fd/%d", fds[i]);
		if (proc_read_link(dir, path, &link) < 0)
			continue;
		found = !strcmp(link, what);
		free(link);
	}
	free(fds);
	return found;
}

/*
 * unshare(2): then its next child is the first process of another namespace. As long as there is
 * no such child, the link cannot be read at all; nor on kernels that have no such link.
 */
static bool child_goes_elsewhere(int dir)
{
	static const char *const kinds[][2] = {
		{"ns/pid", "ns/pid_for_children"},
		{"ns/time", "ns/time_for_children"},
	};
	bool elsewhere = false;
	int self = proc_open(getpid());

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && !elsewhere; i++) {
		char *own, *childs;

		if (self < 0 || faccessat(self, kinds[i][1], F_OK, AT_SYMLINK_NOFOLLOW) < 0 ||
		    proc_read_link(dir, kinds[i][0], &own) < 0)
			continue;
		elsewhere = proc_read_link(dir, kinds[i][1], &childs) < 0;
		if (!elsewhere) {
			elsewhere = strcmp(own, childs) != 0;
			free(childs);
		}
		free(own);
	}
	if (self >= 0)
		close(self);
	return elsewhere;
}

static void refuse(struct hazards *h, const char *why)
{
	snprintf(h->why, sizeof(h->why), "%s", why);
}

static void check_rest(int dir, const char *status, const struct maps *maps, struct hazards *h)
{
	const char *driver = driver_mapping(maps);

	h->userfault = has_descriptor(dir, "anon_inode:[userfaultfd]");
	h->filtered = value_or_0(status, "Seccomp") != 0;
	if (h->userfault) {
		refuse(h, "it supplies memory of its own through userfaultfd");
	} else if (h->filtered && !seccomp_may_ask()) {
		refuse(h, "it has a seccomp filter, which might kill it for a call that we make");
	} else if (driver) {
		struct str name = STR_INIT;

		text_printable(&name, driver, strlen(driver));
		snprintf(h->why, sizeof(h->why), "it has memory of a device mapped (%s)",
			 name.data);
		str_release(&name);
	} else if (child_goes_elsewhere(dir)) {
		refuse(h, "its next child is to be the first process of a namespace");
	} else if (cgroup_pids_room(dir) < PIDS_SPARE) {
		refuse(h, "its control group is about to reach its limit of processes");
	} else {
		memory_is_short(dir, status, h);
	}
}

void hazards_check(int dir, const struct process_info *p, const struct maps *maps,
		   struct hazards *ret)
{
	struct str status = STR_INIT;

	*ret = (struct hazards){.stands_still = p->state == 'T'};
	if (proc_read_file(dir, "status", &status) < 0) {
		refuse(ret, "its state cannot be read");
	} else {
		check_rest(dir, status.data, maps, ret);
		/* Nothing is gained: it stands still anyway. */
		if (ret->stands_still && !*ret->why)
			refuse(ret, "it is stopped already");
	}
	str_release(&status);
}

/* A return to an address that was not called ends the program when it has a shadow stack. */
static bool has_shadow_stack(const char *status)
{
	size_t len;
	const char *line = proc_find_line(status, "x86_Thread_features", &len);

	return line && memmem(line, len, "shstk", 5);
}

bool hazards_thread_may_call(int dir, int32_t tid, char *why, size_t why_bytes)
{
	struct str status = STR_INIT;
	char path[48];
	bool may = false;

	snprintf(path, sizeof(path), "task/%d/status", tid);
	if (proc_read_file(dir, path, &status) < 0)
		snprintf(why, why_bytes, "its threads' state cannot be read");
	else if (has_shadow_stack(status.data))
		snprintf(why, why_bytes, "it has a shadow stack");
	else if (value_or_0(status.data, "Seccomp") && !seccomp_lets_calls_pass(tid))
		snprintf(why, why_bytes,
			 "it has a seccomp filter that forbids a call which we "
			 "would have it make");
	else
		may = true;
	str_release(&status);
	return may;
}

int hazards_find_ranges(int dir, bool of_fork, struct patches *ret)
{
	struct smaps smaps;
	int r = smaps_read_at(dir, &smaps);

	if (r < 0)
		return r;
	for (size_t i = 0; i < smaps.nr; i++) {
		const struct smaps_region *s = &smaps.items[i];

		if (s->vm_flags & SMAPS_VM_USERFAULT)
			patches_add(ret, s->map->start, s->map->end, PATCH_RESIDENT, NULL);
		else if (of_fork && s->vm_flags & (SMAPS_VM_NO_FORK | SMAPS_VM_WIPE_FORK))
			patches_add(ret, s->map->start, s->map->end, PATCH_MISSING, NULL);
	}
	smaps_release(&smaps);
	return 0;
}
