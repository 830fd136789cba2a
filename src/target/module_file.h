/* The file that a module of a live process was mapped from. */
#ifndef SEEP_TARGET_MODULE_FILE_H
#define SEEP_TARGET_MODULE_FILE_H

struct target;
struct target_module;

/*
 * Opens it for reading: that very file, even when its name is gone or means another one by now,
 * where the kernel lets us (root); else by its name as the process sees it, if what is there begins
 * with the same page. Descriptor; -ENOENT: not to be found; -ESTALE: only another one is there.
 */
int module_file_open(struct target *t, const struct target_module *m);

#endif
