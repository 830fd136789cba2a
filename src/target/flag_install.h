/*
 * Where the flags live, and switching the stub on and off with them.
 *
 *     /etc/seep/flags       the registry; there while an image is flagged
 *     /etc/ld.so.preload    names the stub; ours is one line of it
 *     /etc/seep/daemon      locked while seep flags --daemon runs
 *     /etc/systemd/system/  drop-ins of flagged units, see flag_unit.h
 *     LIBDIR/seep/          the stub (libseep-flags.so) and the recorder
 *
 * On: first the registry, then the line. Off: first the line, then the registry, so that nobody
 * ever finds a line without what it needs. The library itself stays installed.
 */
#ifndef SEEP_TARGET_FLAG_INSTALL_H
#define SEEP_TARGET_FLAG_INSTALL_H

#include <stdbool.h>

struct error;
struct flag_registry;

#define FLAG_STUB "libseep-flags.so"
#define FLAG_FOLDER_VARIABLE "SEEP_ETC" /* for seep's own tests: instead of /etc */

struct flag_places {
	char *folder, *registry, *preload, *daemon, *units;
	bool is_test;	 /* not the system's own */
	int lock;	 /* -1: not held */
	int daemon_lock; /* -1: we are not the daemon */
};

/* Only names; nothing is looked at. */
void flag_places_init(struct flag_places *p);
void flag_places_release(struct flag_places *p);

/* Makes the folder, and waits until no other seep is changing it. 0, or negative errno with *e. */
int flag_lock(struct flag_places *p, struct error *e);
void flag_unlock(struct flag_places *p);

/*
 * The stub that belongs to a recorder: beside it. Both must be readable by everybody, because every
 * program will be told to load them. Caller frees *ret_stub. Errors carry EXIT_TARGET.
 */
int flag_stub_find(const char *recorder, char **ret_stub, struct error *e);

/*
 * Makes the system be what the registry says, under the lock. stub may be NULL when no image is
 * flagged any more: then nothing of ours is left. 0, or negative errno with *e.
 */
int flag_apply(const struct flag_places *p, const struct flag_registry *r, const char *stub,
	       struct error *e);
/* Does the loader put a stub into programs? */
bool flag_is_installed(const struct flag_places *p);

/*
 * The daemon (flag_daemon.h) does what the stub would do, so while it runs the stub is there only
 * for images that are flagged by name. It is known by a lock. -EBUSY: there is one already.
 */
int flag_daemon_enter(struct flag_places *p, struct error *e);
void flag_daemon_leave(struct flag_places *p);
/* Only root can tell; for others a daemon that was there is there. */
bool flag_daemon_runs(const struct flag_places *p);

#endif
