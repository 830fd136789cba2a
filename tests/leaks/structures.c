/* Blocks that hold blocks. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "leaks.h"

struct node {
	struct node *next, *other;
	char text[32];
};

static struct node *new_node(struct node *next)
{
	struct node *n = calloc(1, sizeof(*n));

	n->next = next;
	return n;
}

static void free_list(struct node *n)
{
	while (n) {
		struct node *next = n->next;

		free(n);
		n = next;
	}
}

CASE(list)
{
	struct node *n = NULL;

	for (int i = 0; i < 10; i++)
		n = new_node(n);
	if (!bad)
		free_list(n);
}

CASE(list_tail)
{
	struct node *n = NULL;

	for (int i = 0; i < 10; i++)
		n = new_node(n);
	if (bad)
		free(n);
	else
		free_list(n);
}

CASE(list_both_ways)
{
	struct node *n = NULL;

	for (int i = 0; i < 6; i++) {
		struct node *first = new_node(n);

		if (n)
			n->other = first;
		n = first;
	}
	if (!bad)
		free_list(n);
}

CASE(ring)
{
	struct node *first = new_node(NULL), *n = first;

	for (int i = 0; i < 8; i++)
		n = new_node(n);
	first->next = n;
	if (!bad) {
		first->next = NULL;
		free_list(n);
	}
}

CASE(pair_of_two)
{
	struct node *a = new_node(NULL), *b = new_node(a);

	a->next = b;
	if (!bad) {
		free(a);
		free(b);
	}
}

CASE(points_to_itself)
{
	struct node *n = new_node(NULL);

	n->other = n;
	if (!bad)
		free(n);
}

static struct node *make_tree(int depth)
{
	struct node *n = new_node(depth ? make_tree(depth - 1) : NULL);

	if (depth)
		n->other = make_tree(depth - 1);
	return n;
}

static void free_tree(struct node *n)
{
	if (!n)
		return;
	free_tree(n->next);
	free_tree(n->other);
	free(n);
}

CASE(tree)
{
	struct node *n = make_tree(4);

	if (!bad)
		free_tree(n);
}

CASE(tree_branch)
{
	struct node *n = make_tree(4), *branch = n->other;

	n->other = NULL;
	free_tree(n);
	if (!bad)
		free_tree(branch);
}

CASE(array_of_pointers)
{
	char **names = calloc(12, sizeof(*names));

	for (int i = 0; i < 12; i++)
		names[i] = strdup("a name");
	for (int i = 0; i < 12 && !bad; i++)
		free(names[i]);
	free(names);
}

CASE(array_freed_in_part)
{
	char **names = calloc(12, sizeof(*names));

	for (int i = 0; i < 12; i++)
		names[i] = strdup("another name");
	for (int i = 0; i < (bad ? 11 : 12); i++)
		free(names[i]);
	free(names);
}

CASE(matrix)
{
	double **rows = malloc(5 * sizeof(*rows));

	for (int i = 0; i < 5; i++)
		rows[i] = calloc(20, sizeof(**rows));
	if (bad)
		return;
	for (int i = 0; i < 5; i++)
		free(rows[i]);
	free(rows);
}

struct record {
	int id;
	char *name;
	struct record *owner;
};

CASE(member_forgotten)
{
	struct record *r = calloc(1, sizeof(*r));

	r->name = strdup("a member of a record");
	if (!bad)
		free(r->name);
	free(r);
}

CASE(record_with_owner)
{
	struct record *owner = calloc(1, sizeof(*owner)), *r = calloc(1, sizeof(*r));

	r->owner = owner;
	owner->name = strdup("who owns it");
	if (bad)
		return;
	free(owner->name);
	free(owner);
	free(r);
}

union either {
	uintptr_t number;
	void *pointer;
};

CASE(in_a_union)
{
	union either *u = malloc(sizeof(*u));

	u->pointer = malloc(77);
	if (!bad)
		free(u->pointer);
	free(u);
}

struct table {
	struct node *buckets[16];
	size_t nr;
};

CASE(hash_table)
{
	struct table *t = calloc(1, sizeof(*t));

	for (int i = 0; i < 40; i++)
		t->buckets[i % 16] = new_node(t->buckets[i % 16]);
	for (int i = 0; i < 16 && !bad; i++)
		free_list(t->buckets[i]);
	free(t);
}

/* As kernels do it: the links are in the middle, and point to the middle. */
struct link {
	struct link *next;
};

struct embedding {
	char text[40];
	struct link link;
};

CASE(links_in_the_middle)
{
	struct embedding *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));

	a->link.next = &b->link;
	if (!bad) {
		free(a);
		free(b);
	}
}
