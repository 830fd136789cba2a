/* How many handles a table says are held, with tables that lie. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../tools/forge_table.h"
#include "target/held.h"

#define THINGS 20 /* rows of the pools of the kinds */
#define FILES 21

struct lab {
	struct forged f;
	struct table t;
	struct held_kind *kinds;
	size_t nr;
};

static struct wire_tag *tags_of(const struct forged *f)
{
	return (struct wire_tag *)(f->file + forged_header(f)->tags_off);
}

static void add_descriptor(const struct forged *f, int row, int number)
{
	forged_pools(f)[row] = (struct wire_pool_row){
		.key = WIRE_POOL_KEY_BLOCK | (uint64_t)number << 1,
		.owner = (uint64_t)FILES << WIRE_POOL_GENERATION_BITS | 9,
	};
}

/* 1,234 things; and descriptors 0 and 900, of which the second one is not open. */
static void set_up(struct lab *l)
{
	struct wire_header *h;

	*l = (struct lab){.nr = 0};
	assert_true(forged_init(&l->f));
	h = forged_header(&l->f);
	h->kinds_nr = 2;
	h->kinds[0].pool = THINGS + 1;
	tags_of(&l->f)[0] = (struct wire_tag){.state = WIRE_ENTRY_DONE, .name = "thing_get"};
	tags_of(&l->f)[1] =
		(struct wire_tag){.state = WIRE_ENTRY_DONE, .name = WIRE_KIND_DESCRIPTORS};
	forged_pools(&l->f)[THINGS] = (struct wire_pool_row){
		.key = WIRE_POOL_KEY_POOL | 0x6000 << 1, .stack = 1, .size = 1234, .owner = 8};
	forged_pools(&l->f)[FILES] = (struct wire_pool_row){
		.key = WIRE_POOL_KEY_POOL | 0x7000 << 1, .stack = 2, .size = 2, .owner = 9};
	add_descriptor(&l->f, 30, STDIN_FILENO);
	add_descriptor(&l->f, 31, 900);
	assert_int_equal(table_open_fd(l->f.fd, &l->t, NULL), 0);
	l->t.pid = getpid();
}

static int ask(struct lab *l)
{
	free(l->kinds);
	l->kinds = NULL;
	l->nr = 0;
	return held_in_table(&l->t, &l->kinds, &l->nr);
}

static void tear_down(struct lab *l)
{
	free(l->kinds);
	table_close(&l->t);
	forged_release(&l->f);
}

static void test_counts(void **state)
{
	struct lab l;

	(void)state;
	set_up(&l);
	assert_int_equal(ask(&l), 0);
	assert_int_equal(l.nr, 2);
	assert_string_equal(l.kinds[0].name, "thing_get");
	assert_int_equal(l.kinds[0].handles, 1234);
	assert_string_equal(l.kinds[1].name, "file descriptors");
	assert_int_equal(l.kinds[1].handles, 1);
	/* None was acquired yet. */
	forged_header(&l.f)->kinds[0].pool = 0;
	assert_int_equal(ask(&l), 0);
	assert_int_equal(l.kinds[0].handles, 0);
	/* A release was noted before its acquisition. */
	forged_header(&l.f)->kinds[0].pool = THINGS + 1;
	forged_pools(&l.f)[THINGS].size = UINT64_MAX;
	assert_int_equal(ask(&l), 0);
	assert_int_equal(l.kinds[0].handles, 0);
	forged_header(&l.f)->kinds_nr = 0;
	assert_int_equal(ask(&l), 0);
	assert_int_equal(l.nr, 0);
	tear_down(&l);
}

/* It was closed, and opened anew, while the rows were read. */
static void test_twice(void **state)
{
	struct lab l;

	(void)state;
	set_up(&l);
	add_descriptor(&l.f, 32, STDIN_FILENO);
	assert_int_equal(ask(&l), 0);
	assert_int_equal(l.kinds[1].handles, 1);
	tear_down(&l);
}

static void test_lies(void **state)
{
	struct wire_header *h;
	struct lab l;

	(void)state;
	set_up(&l);
	h = forged_header(&l.f);
	h->kinds[0].pool = wire_pool_first(h->pool_levels);
	assert_int_equal(ask(&l), 0);
	h->kinds[0].pool++;
	assert_int_equal(ask(&l), -EINVAL);
	h->kinds[0].pool = UINT64_MAX;
	assert_int_equal(ask(&l), -EINVAL);
	h->kinds[0].pool = 0;
	h->kinds_nr = 3; /* there are two tags */
	assert_int_equal(ask(&l), -EINVAL);
	h->kinds_nr = UINT32_MAX;
	assert_int_equal(ask(&l), -EINVAL);
	h->kinds_nr = 1;
	memset(tags_of(&l.f)[0].name, 'x', sizeof(tags_of(&l.f)[0].name));
	assert_int_equal(ask(&l), 0);
	assert_int_equal(strlen(l.kinds[0].name), sizeof(l.kinds[0].name) - 1);
	tear_down(&l);
}

static void test_nobody(void **state)
{
	struct held_kind *kinds;
	size_t nr;

	(void)state;
	assert_int_equal(held_read(getpid(), &kinds, &nr), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_twice),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
