/*
 * The CSV that Sysinternals' VMMap writes (`vmmap -p PID out.csv`): process, table by type, table
 * of allocations with their blocks. KiB with thousands separators, zeroes blank, every line ends in
 * CR CR LF and header lines in a comma, as in real exports.
 *
 * What Windows' words mean here: an allocation is a run of neighbouring regions of one owner; total
 * working set is RSS; private is anonymous memory that nobody else has; shareable the rest; shared
 * what others have mapped at the moment. "Unusable" stays empty: no address is lost to granularity.
 */
#ifndef SEEP_FORMAT_VMMAP_CSV_H
#define SEEP_FORMAT_VMMAP_CSV_H

struct snapshot;
struct str;

/* Regions must be classified. Without region use all working sets are blank. */
void vmmap_csv_write(const struct snapshot *s, struct str *out);

#endif
