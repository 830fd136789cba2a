/* Filling in struct error; see error.h. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *e, int err, enum exit_status status, const char *format, ...)
{
	va_list ap;

	if (!e)
		return err;
	e->err = err;
	e->status = status;
	e->hint[0] = '\0';
	va_start(ap, format);
	vsnprintf(e->message, sizeof(e->message), format, ap);
	va_end(ap);
	return err;
}

void error_hint(struct error *e, const char *format, ...)
{
	va_list ap;

	if (!e)
		return;
	va_start(ap, format);
	vsnprintf(e->hint, sizeof(e->hint), format, ap);
	va_end(ap);
}

const char *error_strerror(int err)
{
	return strerror(err < 0 ? -err : err);
}
