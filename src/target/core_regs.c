/* Layouts of register notes; see core_regs.h. */
#include "target/core_regs.h"

#include <elf.h>

static const struct core_regs layouts[] = {
	{
		.machine = EM_X86_64,
		.word_bytes = 8,
		.status_bytes = 336,
		.status_signal = 12,
		.status_pid = 32,
		.status_regs = 112,
		.regs_bytes = 27 * 8,
		.pc = 16 * 8,
		.sp = 19 * 8,
		.tp = 21 * 8,
		.tls_selector = CORE_NO_OFFSET,
		.info_bytes = 136,
		.info_uid = 16,
		.id_bytes = 4,
		.info_pid = 24,
		.info_comm = 40,
		.info_args = 56,
	},
	{
		.machine = EM_386,
		.word_bytes = 4,
		.status_bytes = 144,
		.status_signal = 12,
		.status_pid = 24,
		.status_regs = 72,
		.regs_bytes = 17 * 4,
		.pc = 12 * 4,
		.sp = 15 * 4,
		.tp = CORE_NO_OFFSET,
		.tls_selector = 10 * 4,
		.info_bytes = 124,
		.info_uid = 8,
		.id_bytes = 2,
		.info_pid = 12,
		.info_comm = 28,
		.info_args = 44,
	},
	{
		.machine = EM_AARCH64,
		.word_bytes = 8,
		.status_bytes = 392,
		.status_signal = 12,
		.status_pid = 32,
		.status_regs = 112,
		.regs_bytes = 34 * 8,
		.pc = 32 * 8,
		.sp = 31 * 8,
		.tp = CORE_NO_OFFSET,
		.tls_selector = CORE_NO_OFFSET,
		.info_bytes = 136,
		.info_uid = 16,
		.id_bytes = 4,
		.info_pid = 24,
		.info_comm = 40,
		.info_args = 56,
	},
};

const struct core_regs *core_regs_of(uint16_t machine)
{
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		if (layouts[i].machine == machine)
			return &layouts[i];
	}
	return NULL;
}
