/*
 * Units of systemd whose program is recorded when systemd starts it (`seep flags --unit NAME
 * +ust`): the registry names them, and a drop-in puts the stub into their environment. So no other
 * program has a stub, and a drop-in without the registry's line does nothing.
 *
 *     /etc/systemd/system/NAME.d/50-seep-ust.conf
 *         [Service]
 *         Environment="LD_PRELOAD=/usr/lib/seep/libseep-flags.so"
 *         Environment="SEEP_UNIT=NAME"
 *
 * systemd reads it by `systemctl daemon-reload`. Only the folder of the drop-in is made, and it is
 * removed again when nothing else is in it.
 */
#ifndef SEEP_TARGET_FLAG_UNIT_H
#define SEEP_TARGET_FLAG_UNIT_H

#include <stdbool.h>

struct error;
struct flag_places;
struct flag_registry;

/* "nginx" is nginx.service. 0, or -EINVAL with *e: no name of a service. Caller frees *ret. */
int flag_unit_name(const char *operand, char **ret, struct error *e);
/*
 * The program of its ExecStart=, resolved. Errors (EXIT_TARGET): no such unit, none, or not one
 * that can be told; or the unit preloads something itself, which a drop-in would replace.
 */
int flag_unit_image(const struct flag_places *p, const char *unit, char **ret, struct error *e);
/*
 * Makes the drop-ins be what the registry says, under its lock. stub NULL: those that are there
 * stay, none is made.
 */
int flag_units_apply(const struct flag_places *p, const struct flag_registry *r, const char *stub,
		     struct error *e);
bool flag_unit_is_installed(const struct flag_places *p, const char *unit);
/* Is there any drop-in of ours? */
bool flag_units_any(const struct flag_places *p);

#endif
