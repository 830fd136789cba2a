/* Of struct wire_blob, for assembly; checked in rec/blob.c. */
#ifndef SEEP_WIRE_BLOB_OFFSETS_H
#define SEEP_WIRE_BLOB_OFFSETS_H

#define WIRE_BLOB_SELVES_BITS 14 /* of rec/blob_self.h */
#define WIRE_BLOB_SELF_TID_AT 40 /* in a struct blob_self */
#define WIRE_BLOB_SELF_TID 48
#define WIRE_BLOB_QUIET_START 80
#define WIRE_BLOB_QUIET_BYTES 88
#define WIRE_BLOB_KEEPS_START 96
#define WIRE_BLOB_KEEPS_BYTES 104
#define WIRE_BLOB_REAL_MALLOC 112 /* then those of the next ones of WIRE_HOOKS */
#define WIRE_BLOB_REAL_MALLOC_2 120
#define WIRE_BLOB_REAL_FREE 128
#define WIRE_BLOB_REAL_FREE_2 136
#define WIRE_BLOB_REAL_GLIBC_FREE 144
#define WIRE_BLOB_CALL_PC 104 /* in a struct hook_call */
#define WIRE_PAIR_FRAME 216   /* WIRE_PAIR_FRAME_BYTES of wire/blob.h */

#endif
