/* What seep attach would do, and what speaks against it. */
#ifndef SEEP_CMD_ATTACH_DRY_H
#define SEEP_CMD_ATTACH_DRY_H

struct preflight;

/* Prints it. Status: EXIT_DONE, or EXIT_TARGET where it would be refused. */
int attach_dry_show(int pid, const struct preflight *p);

#endif
