/*
 * Stacks that are hard to unwind, each with allocations in the worst places.
 *
 * The program only exercises: the check build of the recorder compares every stack it takes with
 * libgcc's unwinder. Each case says how many allocations it made, so that a silent "nothing was
 * recorded" cannot pass for "nothing differed".
 */
#ifndef SEEP_ADVERSARIAL_ADV_H
#define SEEP_ADVERSARIAL_ADV_H

#include <cstddef>
#include <cstdint>

#define NOINLINE __attribute__((noinline))

/* Makes the compiler believe that `p` and all memory are used here. */
static inline void touch(const volatile void *p)
{
	asm volatile("" : : "r"(p) : "memory");
}

/* Forbids a tail call of whatever comes before. */
static inline void stay()
{
	asm volatile("" : : : "memory");
}

/* One allocation and its release, counted; the thing that all cases do. */
extern "C" void churn(size_t size);

/* Counts an allocation that the case makes without churn(). */
void counted(unsigned int allocations = 1);

/* A cheap random number, the same in every run; each thread has its own sequence. */
unsigned int dice();
void dice_seed(unsigned int seed);

/* Reports something that went wrong; the program goes on and fails at the end. */
void expect(bool good, const char *what);

struct adversarial_case {
	const char *name;
	void (*run)();
};

/* Ends with a name of nullptr. */
extern const adversarial_case frame_cases[], control_cases[], stack_cases[], lifetime_cases[];

/* Where the modules are that come and go at the same address. */
extern const char *module_folder;

#endif
