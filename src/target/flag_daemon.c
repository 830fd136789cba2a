/*
 * The loop of the daemon; see flag_daemon.h. Starts are handled one after the other: each takes a
 * fraction of a millisecond, and a start that hangs is given up (catch_exec.h).
 */
#include "target/flag_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "target/catch_exec.h"
#include "target/elf_probe.h"
#include "target/exec_stack.h"
#include "target/flag_install.h"
#include "target/flag_registry.h"
#include "target/launch_private.h"
#include "target/process.h"

#define NO_DESCRIPTOR 999999 /* in SEEP_REC: the table is to be asked for */

#ifndef FAN_REPORT_TID
#define FAN_REPORT_TID 0x100
#endif

enum source { SOURCE_START, SOURCE_FILES };

struct daemon {
	struct launch *launch;
	struct flag_places *places;
	const char *recorder, *stub;
	const struct flag_daemon_events *events;
	int starts, files; /* fanotify, inotify */
	struct flag_registry registry;
	uint64_t next_end_s; /* when the next image is over; 0: none */
	struct error why;    /* of the last start that was not recorded */
};

/* ---- which images ---- */

static uint64_t now_s(void)
{
	return (uint64_t)time(NULL);
}

static void watch_folder(struct daemon *d, const char *path)
{
	char *folder = mem_strdup(path);
	char *slash = strrchr(folder, '/');

	if (slash) {
		slash[slash == folder] = '\0';
		inotify_add_watch(d->files, folder,
				  IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE |
					  IN_ONLYDIR);
	}
	free(folder);
}

/* All marks anew. A file that is not there yet is marked when its folder tells of it. */
static void reload(struct daemon *d)
{
	struct flag_registry r = FLAG_REGISTRY_INIT;

	watch_folder(d, d->places->folder);
	watch_folder(d, d->places->registry);
	/* While it is being changed, or when it is damaged, the old one is good. */
	if (flag_registry_read(d->places->registry, &r, NULL) == 0) {
		flag_registry_release(&d->registry);
		d->registry = r;
	}
	flag_registry_expire(&d->registry, now_s());
	fanotify_mark(d->starts, FAN_MARK_FLUSH, 0, AT_FDCWD, "/");
	d->next_end_s = 0;
	for (size_t i = 0; i < d->registry.nr; i++) {
		const struct flag *f = &d->registry.flags[i];

		if (!d->next_end_s || f->until_s < d->next_end_s)
			d->next_end_s = f->until_s;
		if (f->by_name || f->unit)
			continue;
		watch_folder(d, f->image);
		fanotify_mark(d->starts, FAN_MARK_ADD, FAN_OPEN_EXEC_PERM, AT_FDCWD, f->image);
	}
}

static void files_changed(struct daemon *d)
{
	char drop[4096];

	while (read(d->files, drop, sizeof(drop)) > 0)
		;
	reload(d);
}

/* ---- a start ---- */

static bool sees_recorder(const struct daemon *d, int32_t pid)
{
	char *path = mem_printf("/proc/%d/root%s", (int)pid, d->recorder);
	bool yes = access(path, R_OK) == 0;

	free(path);
	return yes;
}

static uint64_t address_space_of(int32_t pid)
{
	struct rlimit limit;

	return prlimit(pid, RLIMIT_AS, NULL, &limit) < 0 ? RLIM_INFINITY : limit.rlim_cur;
}

/* As its image is flagged. */
static struct mode mode_of(const struct daemon *d, const char *exe)
{
	const struct flag *f = exe ? flag_registry_find(&d->registry, exe, false) : NULL;

	return f ? f->mode : (struct mode){WIRE_MODE_LITE, 0};
}

static bool is_static(int32_t pid)
{
	char *path = mem_printf("/proc/%d/exe", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct elf_probe probe;
	bool yes = fd >= 0 && elf_probe(fd, &probe) == 0 && probe.kind == ELF_KIND_STATIC;

	if (fd >= 0)
		close(fd);
	free(path);
	return yes;
}

/* NULL: recorded, or not meant to be. */
static const char *record_static(struct daemon *d, int32_t pid, struct mode mode)
{
	int r = exec_stack_check(pid);

	if (r == -EPERM)
		return NULL; /* privileged: never meant to be */
	if (r < 0)
		return "its stack is unusual";
	/* Should we hang, it is let go. */
	alarm(CATCH_WATCHDOG_S);
	r = d->events->into_static(pid, mode, &d->why, d->events->context);
	alarm(0);
	return r < 0 ? d->why.message : NULL;
}

/* The same, by its environment. */
static const char *record_dynamic(struct daemon *d, int32_t pid, int32_t ns_pid, struct mode mode)
{
	struct launch_table table = LAUNCH_TABLE_INIT;
	struct launch_process *p;
	char *session;
	int r;

	if (d->launch->nr >= LAUNCH_PROCESSES_MAX)
		return "too many are recorded already";
	if (!sees_recorder(d, pid))
		return "it cannot see the recorder's library where it runs (chroot, container)";
	session = mem_printf("SEEP_REC=%d:%d:%d:2:%s", WIRE_VERSION, NO_DESCRIPTOR, ns_pid,
			     d->launch->socket_name);
	r = launch_table_create(1, address_space_of(pid), mode, &table, NULL);
	p = r == 0 ? launch_add(d->launch, pid, &table) : NULL;
	if (p) {
		p->waiting = true;
		r = exec_stack_add(pid, d->recorder, session);
		if (r < 0)
			launch_remove(d->launch, p);
		launch_clock_start(d->launch);
	}
	free(session);
	if (r == -EPERM)
		return NULL; /* privileged: never meant to be */
	return p && r == 0 ? NULL : "no table could be made for it, or its stack is unusual";
}

/* The process stands at the end of its exec. NULL: recorded, or not meant to be. */
static const char *record(struct daemon *d, const struct process_info *info)
{
	struct launch_process *p = launch_find(d->launch, info->pid);
	struct mode mode = mode_of(d, info->exe);

	if (p) /* it becomes another program */
		launch_remove(d->launch, p);
	return is_static(info->pid) ? record_static(d, info->pid, mode)
				    : record_dynamic(d, info->pid, info->ns_pid, mode);
}

static void start(struct daemon *d, const struct fanotify_event_metadata *event)
{
	const char *why = NULL;
	int32_t pid = catch_exec(d->starts, event->fd, event->pid, &why);
	struct process_info info = PROCESS_INFO_INIT;

	if (pid) {
		why = process_read(pid, &info, NULL) < 0 ? "it has ended" : record(d, &info);
		ptrace(PTRACE_DETACH, pid, NULL, NULL);
	}
	if (why)
		d->events->missed(pid ? pid : event->pid, info.exe ? info.exe : "", why,
				  d->events->context);
	process_info_release(&info);
}

static void starts_waiting(struct daemon *d)
{
	_Alignas(struct fanotify_event_metadata) char room[8192];
	ssize_t len = read(d->starts, room, sizeof(room));
	const struct fanotify_event_metadata *event = (const void *)room;

	for (; FAN_EVENT_OK(event, len); event = FAN_EVENT_NEXT(event, len)) {
		if (event->vers != FANOTIFY_METADATA_VERSION || event->fd < 0)
			continue;
		start(d, event);
	}
}

/* ---- the whole of it ---- */

static int cannot(const char *what, int err, struct error *e)
{
	error_set(e, err, EXIT_TARGET, "cannot %s: %s", what, error_strerror(err));
	if (err == -EPERM)
		error_hint(e, "the daemon takes root (CAP_SYS_ADMIN, CAP_SYS_PTRACE)");
	if (err == -EINVAL || err == -ENOSYS)
		error_hint(e, "this kernel cannot ask before programs start (Linux 5.0, "
			      "CONFIG_FANOTIFY_ACCESS_PERMISSIONS); seep flags works without the "
			      "daemon");
	return err;
}

static int watch(struct daemon *d, int fd, enum source source)
{
	return launch_watch(d->launch, fd, LAUNCH_EVENT_OTHER, (int32_t)source);
}

static int open_all(struct daemon *d, struct error *e)
{
	struct launch *l = d->launch;
	int r = launch_signals_open(&l->signals);

	if (r < 0)
		return cannot("block signals", r, e);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	d->files = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	d->starts = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK | FAN_REPORT_TID,
				  O_RDONLY | O_CLOEXEC | O_LARGEFILE);
	if (d->starts < 0)
		return cannot("watch programs start (fanotify)", -errno, e);
	r = launch_watch(l, l->signals.fd, LAUNCH_EVENT_SIGNAL, 0);
	if (r == 0)
		r = launch_watch(l, l->timer, LAUNCH_EVENT_TIMER, 0);
	if (r == 0)
		r = launch_serve_open(l);
	if (r == 0)
		r = watch(d, d->starts, SOURCE_START);
	if (r == 0)
		r = watch(d, d->files, SOURCE_FILES);
	if (r == 0)
		r = launch_clock_start(l);
	return r < 0 ? cannot("prepare the daemon", r, e) : 0;
}

static void ignore(const struct launched *p, void *context)
{
	(void)p;
	(void)context;
}

static void ended(struct daemon *d, int32_t pid)
{
	struct launch_process *p = launch_find(d->launch, pid);

	if (p)
		launch_remove(d->launch, p);
}

/* True: we are to end. */
static bool handle(struct daemon *d, const struct epoll_event *event)
{
	static const struct launch_events quiet = {.ended = ignore, .failed = ignore};
	int32_t which = (int32_t)(uint32_t)event->data.u64;

	switch ((enum launch_event)(event->data.u64 >> 32)) {
	case LAUNCH_EVENT_SIGNAL:
		return launch_signals_handle(&d->launch->signals, 0);
	case LAUNCH_EVENT_TIMER:
		launch_tick(d->launch, &quiet);
		if (d->next_end_s && now_s() >= d->next_end_s)
			reload(d);
		break;
	case LAUNCH_EVENT_SOCKET:
		launch_serve(d->launch);
		break;
	case LAUNCH_EVENT_PROCESS:
		ended(d, which);
		break;
	case LAUNCH_EVENT_OTHER:
		if (which == SOURCE_START)
			starts_waiting(d);
		else
			files_changed(d);
		break;
	}
	return false;
}

static int loop(struct daemon *d, struct error *e)
{
	struct epoll_event ready[32];

	for (;;) {
		int nr = epoll_wait(d->launch->epoll, ready, 32, -1);

		if (nr < 0 && errno != EINTR)
			return cannot("wait", -errno, e);
		for (int i = 0; i < nr; i++)
			if (handle(d, &ready[i]))
				return 0;
	}
}

/* The line in the loader's list comes or goes with us. */
static int swap_stub(const struct daemon *d, struct error *e)
{
	struct flag_registry r = FLAG_REGISTRY_INIT;
	int err = flag_lock(d->places, e);

	if (err < 0)
		return err;
	err = flag_registry_read(d->places->registry, &r, e);
	if (err == 0)
		err = flag_apply(d->places, &r, d->stub, e);
	flag_registry_release(&r);
	flag_unlock(d->places);
	return err;
}

int flag_daemon_run(struct flag_places *places, const char *recorder, const char *stub,
		    const struct flag_daemon_events *events, struct error *e)
{
	struct daemon d = {.places = places, .recorder = recorder, .stub = stub, .events = events};
	int r;

	d.starts = d.files = -1;
	d.launch = mem_alloc(sizeof(*d.launch));
	d.launch->epoll = d.launch->timer = d.launch->listener = d.launch->signals.fd = -1;
	r = flag_daemon_enter(places, e);
	if (r == 0)
		r = open_all(&d, e);
	if (r == 0) {
		reload(&d);
		r = swap_stub(&d, e);
	}
	if (r == 0) {
		events->ready(events->context);
		r = loop(&d, e);
	}
	flag_daemon_leave(places);
	if (r == 0)
		r = swap_stub(&d, e);
	if (d.starts >= 0)
		close(d.starts);
	if (d.files >= 0)
		close(d.files);
	flag_registry_release(&d.registry);
	launch_free(d.launch);
	return r;
}
