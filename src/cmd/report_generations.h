/* seep report --generations: what is live, by the marks between which it was allocated. */
#ifndef SEEP_CMD_REPORT_GENERATIONS_H
#define SEEP_CMD_REPORT_GENERATIONS_H

struct explain;
struct explain_input;

/* Changes the snapshot. Returns an exit status, after an explanation if it is not EXIT_DONE. */
int report_generations(const struct explain *x, struct explain_input *in);

#endif
