/* Names as people write them, out of the names that linkers see. */
#ifndef SEEP_SYM_DEMANGLE_H
#define SEEP_SYM_DEMANGLE_H

struct str;

/*
 * Appends the demangled form of a C++ (Itanium), Rust (v0 or legacy) or D name, or the name itself
 * where it is none of them. Hostile names end in the name itself, never in endless output.
 */
void demangle(const char *mangled, struct str *out);

#endif
