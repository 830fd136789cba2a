/* Battery and temperature of this machine; see sensor.h. */
#include "sensor.h"

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static bool read_number(const char *path, long *ret_number)
{
	char text[32], *end;
	ssize_t len;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0)
		return false;
	text[len] = '\0';
	*ret_number = strtol(text, &end, 10);
	return end != text;
}

static int random_between(int low, int high)
{
	unsigned int r = 0;

	if (getrandom(&r, sizeof(r), 0) != sizeof(r))
		r = (unsigned int)getpid();
	return low + (int)(r % (unsigned int)(high - low + 1));
}

/* Finds the first file that matches and holds a number. */
static void find(struct sensor *s, const char *pattern)
{
	glob_t g;
	long number;

	if (glob(pattern, 0, NULL, &g) != 0)
		return;
	for (size_t i = 0; i < g.gl_pathc && !s->path[0]; i++) {
		if (strlen(g.gl_pathv[i]) >= sizeof(s->path) ||
		    !read_number(g.gl_pathv[i], &number))
			continue;
		strcpy(s->path, g.gl_pathv[i]);
		s->value = (int)(number / s->divisor);
	}
	globfree(&g);
}

void sensor_init_battery(struct sensor *s)
{
	*s = (struct sensor){.divisor = 1, .drift = -1, .value = random_between(9, 99)};
	find(s, "/sys/class/power_supply/*/capacity");
}

void sensor_init_temperature(struct sensor *s)
{
	*s = (struct sensor){.divisor = 1000, .drift = 1, .value = random_between(20, 58)};
	find(s, "/sys/class/thermal/thermal_zone*/temp");
}

int sensor_read(struct sensor *s, unsigned long long turn)
{
	long number;

	if (s->path[0]) {
		if (turn % SENSOR_READ_TURNS == 0 && read_number(s->path, &number))
			s->value = (int)(number / s->divisor);
	} else if (turn && turn % SENSOR_DRIFT_TURNS == 0) {
		s->value += s->drift;
	}
	if (s->value < 0)
		s->value = 0;
	if (s->value > 100)
		s->value = 100;
	return s->value;
}
