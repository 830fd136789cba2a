/* The folder that the target sees as "/", when that is not ours: a container, a chroot, a sysroot.
 */
#ifndef SEEP_SYM_ROOT_H
#define SEEP_SYM_ROOT_H

/*
 * Opens path (absolute or not) for reading as seen under root_fd; -1: as we see it. Absolute
 * symbolic links stay inside that root, or the wrong file of the same name would be taken. Never
 * blocks on a FIFO. more_flags: for open(). Descriptor or -1 with errno.
 */
int root_open_file(int root_fd, const char *path, int more_flags);

#endif
