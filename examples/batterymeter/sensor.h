/*
 * Where the numbers come from: the first battery and the first thermal zone that sysfs offers, or,
 * on machines without (servers, containers), made-up values that drift like the lab's.
 */
#ifndef BATTERYMETER_SENSOR_H
#define BATTERYMETER_SENSOR_H

#include <stdbool.h>

struct sensor {
	char path[128]; /* "" when the value is made up */
	int divisor;	/* file value / divisor = shown value */
	int value;
	int drift; /* added to a made-up value every SENSOR_DRIFT_TURNS */
};

#define SENSOR_READ_TURNS 100
#define SENSOR_DRIFT_TURNS 500

void sensor_init_battery(struct sensor *s);	/* percent; made up: 9..99, falling */
void sensor_init_temperature(struct sensor *s); /* degrees Celsius; made up: 20..58, rising */

/* The value at a turn; reads the file only now and then. Never allocates. */
int sensor_read(struct sensor *s, unsigned long long turn);

#endif
