/*
 * Demangling by libiberty. Substitutions make it possible for a short hostile name to stand for
 * gigabytes of text, so output is taken piece by piece and abandoned when it gets absurd.
 */
#include "sym/demangle.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <libiberty/demangle.h>

#include "base/str.h"

enum {
	MANGLED_MAX = 32768,
	D_MANGLED_MAX = 2048, /* its demangler has no piecewise output */
	OUTPUT_MAX = 65536,
};

struct output {
	struct str *text;
	size_t start;
	jmp_buf too_long;
};

/*
 * Leaving the demangler by a jump is safe: with a callback it keeps everything on its stack. (That
 * is what libiberty's header promises: "does not allocate heap memory to grow output strings".)
 */
static void add_piece(const char *piece, size_t len, void *arg)
{
	struct output *o = arg;

	if (o->text->len - o->start + len > OUTPUT_MAX)
		longjmp(o->too_long, 1);
	str_add_len(o->text, piece, len);
}

static void cut(struct str *s, size_t len)
{
	if (s->len > len) {
		s->len = len;
		s->data[len] = '\0';
	}
}

static bool demangle_cplus_rust(const char *mangled, struct str *out)
{
	const int options = DMGL_PARAMS | DMGL_ANSI;
	struct output o = {.text = out, .start = out->len};

	if (setjmp(o.too_long)) {
		cut(out, o.start);
		return false;
	}
	/* Rust's legacy names are valid C++ names with a hash at the end, so Rust comes first. */
	if (rust_demangle_callback(mangled, options, add_piece, &o))
		return true;
	cut(out, o.start);
	if (cplus_demangle_v3_callback(mangled, options, add_piece, &o))
		return true;
	cut(out, o.start);
	return false;
}

static bool demangle_d(const char *mangled, struct str *out)
{
	char *text;

	if (strlen(mangled) > D_MANGLED_MAX)
		return false;
	text = dlang_demangle(mangled, 0);
	if (!text)
		return false;
	if (strlen(text) <= OUTPUT_MAX)
		str_add(out, text);
	else
		str_add(out, mangled);
	free(text);
	return true;
}

void demangle(const char *mangled, struct str *out)
{
	bool done = false;

	if (mangled[0] == '_' && strlen(mangled) <= MANGLED_MAX) {
		if (mangled[1] == 'Z' || mangled[1] == 'R' || !strncmp(mangled, "__Z", 3))
			done = demangle_cplus_rust(mangled, out);
		else if (mangled[1] == 'D' &&
			 (isdigit((unsigned char)mangled[2]) || !strcmp(mangled, "_Dmain")))
			done = demangle_d(mangled, out);
	}
	if (!done)
		str_add(out, mangled);
}
