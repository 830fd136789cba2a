/* The only file that includes libdw and libdwfl; for debug.c, which names code, and unwind.c. */
#ifndef SEEP_SYM_DWFL_H
#define SEEP_SYM_DWFL_H

#include <dwarf.h>
#include <elfutils/libdwfl.h>

#endif
