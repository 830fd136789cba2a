/*
 * What the injector and the recorder that it puts into a running process have in common.
 *
 * libseep-blob.so is the recorder without a loader: nothing to import, no thread-local storage. The
 * injector maps it, relocates it, writes what a loader would have told it into struct wire_blob,
 * and lets the entries of the allocator's functions jump to its hooks.
 *
 *   an entry      struct wire_blob_near          the blob
 *   jmp ────────▶ real = its moved first    ┌──▶ hook: calls real, notes the block
 *                 instructions, jmp hook ───┘
 *
 * struct wire_blob begins the blob's writable memory, and the ELF entry address is its own. What is
 * found there later, by another seep, says what was changed and what was mapped, so that everything
 * can be undone. All addresses are the process's own.
 */
#ifndef SEEP_WIRE_BLOB_H
#define SEEP_WIRE_BLOB_H

#include <stdint.h>

#include "wire/wire.h"

#define WIRE_BLOB_MAGIC 0x31626f6c42706565ull /* "eepBlob1" */
#define WIRE_BLOB_VERSION 7

/*
 * Hooks, by what a function does with its arguments; see src/inject/functions.h for the shapes.
 * Each is entered as the function was. The first ones read from struct wire_blob what now is
 * the function; all others have its address in r11, and find what r11 and r10 were before that in
 * the first words below the stack. NEW has in r10 the one that returns NULL where this one throws:
 * for where no frame of ours may be in the way of an exception.
 */
/* clang-format off */
#define WIRE_HOOKS(X) \
	X(malloc)       /* as allocates_1, of an allocator whose malloc calls no other function */ \
	X(malloc_2)     /* of another name */ \
	X(free)         /* as frees_1, likewise */ \
	X(free_2) \
	X(glibc_free)   /* with an eye on quiet code, see below */ \
	X(allocates_1) X(allocates_2) X(allocates_12) X(allocates_23) X(allocates_string) X(new_1) \
	X(fills_1_3) X(frees_1) \
	X(reallocs_1_2) X(reallocs_1_23) X(reallocs_2_3) X(reallocs_2_34) \
	X(reallocs_or_frees_1_2) X(reallocs_or_frees_2_3) X(replaces_1_23) X(resizes_1_2) \
	X(closes_1) X(locks) X(forks) X(system_calls) \
	X(acquires) X(releases) /* have in r10 what, see below */ \
	X(finds_object) X(iterates_1_2) /* so that exceptions pass through new and acquires */
/* clang-format on */
#define WIRE_ENUM(name) WIRE_HOOK_##name,
enum wire_hook { WIRE_HOOKS(WIRE_ENUM) WIRE_HOOKS_NR };
#undef WIRE_ENUM
/* Those that read from memory what is the function; of each there is one place. */
#define WIRE_HOOKS_PLAIN_NR WIRE_HOOK_allocates_1

/*
 * What a function does with handles: their kind, where the handle is, and what is special. Place 0
 * is the result; else of a function that acquires, what that argument points to, and of one that
 * releases, that argument.
 */
#define WIRE_PAIR_KIND 0x3fu
#define WIRE_PAIR_PLACE_SHIFT 8
#define WIRE_PAIR_PLACE 7u
enum wire_pair_flags {
	WIRE_PAIR_NUMBER = 1 << 12, /* an int; negative: none. Else a pointer, or NULL */
	WIRE_PAIR_TWO = 1 << 13,    /* two ints, if the function returns 0 */
	WIRE_PAIR_FILE = 1 << 14,   /* a FILE, which has the number */
	WIRE_PAIR_DIR = 1 << 15,    /* a DIR, likewise */
	WIRE_PAIR_DUP = 1 << 16,    /* (old, new): nothing happens if they are the same */
	WIRE_PAIR_FCNTL = 1 << 17,  /* only with commands that duplicate */
	WIRE_PAIR_RANGE = 1 << 18,  /* all from this argument up to the next one */
	WIRE_PAIR_JUDGED = 1 << 19, /* releases, by the hook of acquires: if it returns 0 */
};
/*
 * On the stack, words behind the return address into acquires: then comes that of the function's
 * caller. So a call that does not end can be let go to where as much is taken off the stack.
 */
#define WIRE_PAIR_FRAME_BYTES 216

/* Where things are in the process's mapping of the table; the recorder's own addresses. */
struct wire_places {
	uint64_t base;
	uint64_t nodes, counts, extra, index, dense1, modules, undo, known;
	uint64_t chunks; /* the first slot's */
	uint64_t marks, tags, pools, rings;
	uint64_t nodes_cap;
};

/* One page: {header, level1, header}; a fork's child reads zeroes. See struct gate of rec/rec.h. */
struct wire_gate {
	uint64_t header, level1, tables;
};

/*
 * A function whose entry was made a jump; or a slot: a word by which modules call it, of those
 * whose entries cannot be changed.
 */
#define WIRE_PATCH_BYTES 16
#define WIRE_SLOT_BYTES 8
struct wire_patch {
	uint64_t addr;
	uint8_t bytes_nr; /* that were overwritten */
	uint8_t hook;	  /* enum wire_hook */
	uint8_t is_slot;
	uint8_t pad[5];
	uint8_t original[WIRE_PATCH_BYTES]; /* what stood there; of a slot, then the function */
	uint8_t patched[WIRE_PATCH_BYTES];  /* what stands there now; then the file's inode */
};

/* Memory that was mapped for us, to be unmapped. */
struct wire_mapped {
	uint64_t start, end; /* end 0: none */
};

/* A module that the loader cannot be asked about. */
#define WIRE_BLOB_PATH_MAX 208
struct wire_blob_module {
	uint64_t start, end, bias;
	uint64_t eh_frame_hdr; /* 0: none */
	uint8_t build_id[20];
	uint8_t build_id_len;
	uint8_t stays; /* it is never unloaded */
	uint8_t pad[2];
	char path[WIRE_BLOB_PATH_MAX]; /* "" the program */
};

#define WIRE_PATCHES_MAX 2048
#define WIRE_MAPPED_MAX 16
#define WIRE_BLOB_MODULES_MAX 1024
#define WIRE_TOLD_MAX 1024

enum wire_blob_state {
	WIRE_BLOB_NONE = 0,
	WIRE_BLOB_PREPARING, /* nothing is patched */
	WIRE_BLOB_ON,	     /* entries are, or are being, patched */
	WIRE_BLOB_OFF,	     /* entries are being, or have been, restored */
};

struct wire_blob {
	struct wire_private private_part; /* leak scans leave what follows alone */
	uint64_t magic;			  /* WIRE_BLOB_MAGIC */
	uint32_t version, bytes;	  /* of this struct */
	/*
	 * Code whose frees of blocks that nobody knows are not counted: glibc frees by free() what
	 * an ended thread had in its cache, which the program has freed before. Bytes 0: none.
	 */
	uint64_t quiet_start, quiet_bytes;
	/*
	 * Code that may have been compiled together with an allocator, so that it knows which
	 * vector registers that leaves alone. Bytes 0: none.
	 */
	uint64_t keeps_start, keeps_bytes;
	uint64_t reals[WIRE_HOOKS_PLAIN_NR]; /* what now is the function, for the first hooks */
	/* Filled in by the linker: */
	uint64_t hooks[WIRE_HOOKS_NR];
	uint64_t gate;	    /* struct wire_gate */
	uint64_t places;    /* struct wire_places */
	uint64_t functions; /* struct seep_functions of include/seep/seep.h */
	/*
	 * On a stack, these say that a call from here to the outside is still under way; the last
	 * one that it is of a function that acquires.
	 */
	uint64_t returns[5];
	/* Filled in by the injector: */
	uint64_t find_object;	/* glibc's _dl_find_object, 0 none: then only modules[] are known */
	uint64_t clock_gettime; /* the vDSO's, 0 none */
	/* Not 0: unwinders find the blob's frames, so that exceptions may pass through them. */
	uint64_t unwinds;
	uint64_t allocator_addr;
	uint64_t file_number, dir_number; /* fileno(), dirfd(); 0: not known */
	uint64_t pid;			  /* its own, as it sees itself */
	uint64_t stack_low, stack_high;	  /* the main thread's; 0: not known */
	uint64_t blob_start, blob_end;	  /* all of the blob's image */
	/* For whoever takes it out again: */
	uint32_t state; /* enum wire_blob_state */
	int32_t table_fd;
	uint64_t table_device, table_inode; /* so that nothing else is closed; of table_fd */
	uint32_t patches_nr, mapped_nr;
	struct wire_mapped mapped[WIRE_MAPPED_MAX]; /* the first holds this struct */
	struct wire_patch patches[WIRE_PATCHES_MAX];
	/*
	 * Where the address of the functions stands: a word of each module that uses
	 * include/seep/seep.h, if the module is still there. The recorder adds those that it meets;
	 * the word is written after its address has been noted here.
	 */
	uint64_t told[WIRE_TOLD_MAX];
	uint32_t told_nr, told_pad;
	uint64_t privates;   /* list of struct wire_private by next, for threads; 0: none */
	uint32_t modules_nr; /* grows as the recorder finds more */
	uint32_t no_peek;    /* not 0: a seccomp filter would kill it for process_vm_readv */
	struct wire_blob_module modules[WIRE_BLOB_MODULES_MAX];
};

#endif
