/* Writing a sheet where the user wants it and as: shared by the commands that show sheets. */
#ifndef SEEP_CMD_SHOW_H
#define SEEP_CMD_SHOW_H

#include <stddef.h>

struct sheet;

/* Choices of --format, in the order of enum show_format. A command may add its own behind them. */
#define SHOW_FORMATS "text|json|csv"
enum show_format { SHOW_TEXT, SHOW_JSON, SHOW_CSV };

/*
 * path NULL or "-": standard output, coloured and as wide as the terminal allows. Returns an exit
 * status, after an explanation if it is not EXIT_DONE.
 */
int show_sheet(const struct sheet *s, enum show_format format, const char *path);
/* The same, the text as wide as it gets. */
int show_sheet_wide(const struct sheet *s, enum show_format format, const char *path);
/* Columns that show_sheet() has for text; 0: as many as it takes. */
unsigned int show_width(const char *path);
/* The same for text that is ready. */
int show_text(const char *text, size_t len, const char *path);

#endif
