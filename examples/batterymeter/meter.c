/* The worker thread and the ways to talk to it; see meter.h. */
#include "meter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "battery.h"
#include "cpu.h"

#define NS_PER_S 1000000000ull

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* Formats a text for the screen by way of a block that lives only for the moment. */
static void format_text(char *field, size_t len, struct totals *t, int value, const char *unit)
{
	char *text = malloc(len);

	if (!text)
		return;
	totals_allocated(t, len);
	snprintf(text, len, "%d %s", value, unit);
	memcpy(field, text, len);
	free(text);
	totals_freed(t, len);
}

static void remember(struct meter *m)
{
	struct view *v = &m->view;
	struct reading r = {
		.turn = v->totals.turns,
		.battery = v->battery,
		.temperature = v->temperature,
	};

	snprintf(r.note, sizeof(r.note), "%d %%, %d C", r.battery, r.temperature);
	cache_add(&m->cache, &r, &v->totals);
}

static void count_leaks(struct totals *t, const struct battery_info *battery,
			const struct cpu_info *cpu)
{
	if (!t->first_block_inverted && battery->info)
		t->first_block_inverted = ~(uint64_t)(uintptr_t)battery->info;
	t->battery_blocks += battery->info != NULL;
	t->cpu_blocks += cpu->info != NULL;
}

static void take_turn(struct meter *m)
{
	struct view *v = &m->view;
	struct battery_info battery;
	struct cpu_info cpu;

	battery_info_init(&battery);
	cpu_info_init(&cpu);
	count_leaks(&v->totals, &battery, &cpu);

	v->battery = battery_info_measure(&battery, sensor_read(&m->battery, v->totals.turns));
	v->temperature = cpu_info_measure(&cpu, sensor_read(&m->temperature, v->totals.turns));
	format_text(v->battery_text, sizeof(v->battery_text), &v->totals, v->battery, "%");
	format_text(v->temperature_text, sizeof(v->temperature_text), &v->totals, v->temperature,
		    "C");
	remember(m);

	cpu_info_release(&cpu);
	battery_info_release(&battery);
	v->totals.turns++;
}

static bool must_rest(struct meter *m)
{
	return m->asking || m->paused || m->view.totals.turns >= m->limit;
}

static void rest(struct meter *m)
{
	while (!m->stop && must_rest(m)) {
		m->at_rest = true;
		pthread_cond_broadcast(&m->rested);
		pthread_cond_wait(&m->wake, &m->lock);
	}
	m->at_rest = false;
}

/* Sleeps until the next turn is due. False: woken before, look at the conditions again. */
static bool sleep_until(struct meter *m, uint64_t due_ns)
{
	struct timespec t = {
		.tv_sec = (time_t)(due_ns / NS_PER_S),
		.tv_nsec = (long)(due_ns % NS_PER_S),
	};

	return pthread_cond_timedwait(&m->wake, &m->lock, &t) == ETIMEDOUT;
}

static void *worker_run(void *arg)
{
	struct meter *m = arg;
	uint64_t due_ns = now_ns() + m->period_ns;

	pthread_mutex_lock(&m->lock);
	while (!m->stop) {
		if (must_rest(m)) {
			rest(m);
			continue;
		}
		if (m->period_ns && !sleep_until(m, due_ns))
			continue;
		pthread_mutex_unlock(&m->lock);
		take_turn(m);
		due_ns += m->period_ns;
		/* After a pause or on a busy machine: go on from here, no burst. */
		if (due_ns < now_ns())
			due_ns = now_ns();
		pthread_mutex_lock(&m->lock);
	}
	m->at_rest = true;
	pthread_cond_broadcast(&m->rested);
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

int meter_start(struct meter *m, double rate, uint64_t limit)
{
	pthread_condattr_t attr;
	int err;

	*m = (struct meter){.limit = limit};
	m->period_ns = rate > 0 ? (uint64_t)((double)NS_PER_S / rate) : 0;
	sensor_init_battery(&m->battery);
	sensor_init_temperature(&m->temperature);
	m->view.battery = m->battery.value;
	m->view.temperature = m->temperature.value;
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->rested, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&m->wake, &attr);
	pthread_condattr_destroy(&attr);
	err = pthread_create(&m->thread, NULL, worker_run, m);
	if (!err)
		pthread_setname_np(m->thread, "worker");
	return -err;
}

/* Brings the worker to rest and takes the lock; unrest() lets it go on. */
static void bring_to_rest(struct meter *m)
{
	m->asking++;
	pthread_mutex_lock(&m->lock);
	pthread_cond_signal(&m->wake);
	while (!m->at_rest)
		pthread_cond_wait(&m->rested, &m->lock);
}

static void unrest(struct meter *m)
{
	m->asking--;
	pthread_cond_signal(&m->wake);
	pthread_mutex_unlock(&m->lock);
}

void meter_stop(struct meter *m)
{
	bring_to_rest(m);
	m->stop = true;
	unrest(m);
	pthread_join(m->thread, NULL);
	cache_release(&m->cache, &m->view.totals);
	pthread_cond_destroy(&m->wake);
	pthread_cond_destroy(&m->rested);
	pthread_mutex_destroy(&m->lock);
}

void meter_look(struct meter *m, struct view *ret_view)
{
	const struct reading *r;
	int len = 0;

	bring_to_rest(m);
	*ret_view = m->view;
	ret_view->paused = m->paused || m->view.totals.turns >= m->limit;
	for (uint64_t age = CACHE_MAX; age-- > 0;) {
		r = cache_get(&m->cache, age);
		if (r)
			ret_view->trend[len++] = (unsigned char)r->temperature;
	}
	ret_view->trend_len = len;
	unrest(m);
}

void meter_pause(struct meter *m, bool paused)
{
	bring_to_rest(m);
	m->paused = paused;
	unrest(m);
}

void meter_turn_more(struct meter *m, uint64_t turns)
{
	bring_to_rest(m);
	m->paused = false;
	m->limit = m->view.totals.turns + turns;
	unrest(m);
}

void meter_go(struct meter *m)
{
	bring_to_rest(m);
	m->paused = false;
	m->limit = METER_NO_LIMIT;
	unrest(m);
}

void meter_wait(struct meter *m)
{
	pthread_mutex_lock(&m->lock);
	while (m->limit != METER_NO_LIMIT && !m->paused &&
	       !(m->at_rest && m->view.totals.turns >= m->limit))
		pthread_cond_wait(&m->rested, &m->lock);
	pthread_mutex_unlock(&m->lock);
}
