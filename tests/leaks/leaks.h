/*
 * Small programs that lose memory, and the same without the mistake: `leaks NAME bad|good` runs one
 * case and ends by returning from main; `leaks list` names them all.
 *
 * A case is one function, CASE(name), with the mistake where `bad` is set. It runs deep down the
 * stack, so that what it leaves there is far from where the end of the program looks.
 */
#ifndef SEEP_TEST_LEAKS_H
#define SEEP_TEST_LEAKS_H

#ifdef __cplusplus
extern "C" {
#endif

struct leak_case {
	const char *name;
	void (*run)(int bad);
	struct leak_case *next;
};

void leak_case_add(struct leak_case *c);
/* Makes the compiler believe that what p points to is used. */
void leak_touch(void *p);

#ifdef __cplusplus
}
#endif

#define CASE(name)                                                                                 \
	static void name(int bad);                                                                 \
	static struct leak_case name##_case = {#name, name, 0};                                    \
	__attribute__((constructor)) static void name##_add(void)                                  \
	{                                                                                          \
		leak_case_add(&name##_case);                                                       \
	}                                                                                          \
	static void name(int bad)

#endif
