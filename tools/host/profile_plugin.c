// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A plugin for QEMU that counts how often the guest's kernel executes each instruction while it
 * runs one function:
 *
 *	-plugin file=plugin.so,start=ADDRESS,output=PATH
 *
 * A window begins where the function at ADDRESS is entered, and ends when the processor, of which
 * there is one, returns to user space. For each window the output gets a line "window", then a line
 * "address count" for each instruction that was executed. Each iteration of a `rep` string
 * instruction counts as one under -icount.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"

#define KERNEL 0x8000000000000000UL
#define BUCKETS 65536

int qemu_plugin_version = 4;

struct counter {
	struct counter *next;
	unsigned long address, count;
};

static struct counter *counters[BUCKETS];
static unsigned long start;
static FILE *file;
static bool is_counting;

static struct counter *counter_of(unsigned long address)
{
	struct counter **list = &counters[(address ^ address >> 16) % BUCKETS], *counter;

	for (counter = *list; counter; counter = counter->next)
		if (counter->address == address)
			return counter;
	counter = calloc(1, sizeof(*counter));
	if (!counter)
		abort();
	counter->address = address;
	counter->next = *list;
	*list = counter;
	return counter;
}

static void count(unsigned int cpu, void *data)
{
	struct counter *counter = data;

	counter->count += is_counting;
}

static void begin(unsigned int cpu, void *data)
{
	is_counting = true;
	count(cpu, data);
}

static void end(unsigned int cpu, void *data)
{
	struct counter *counter;
	size_t bucket;

	if (!is_counting)
		return;
	is_counting = false;
	fprintf(file, "window\n");
	for (bucket = 0; bucket < BUCKETS; bucket++) {
		for (counter = counters[bucket]; counter; counter = counter->next) {
			if (counter->count)
				fprintf(file, "%lx %lu\n", counter->address, counter->count);
			counter->count = 0;
		}
	}
	fflush(file);
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t index;

	for (index = 0; index < qemu_plugin_tb_n_insns(tb); index++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, index);
		unsigned long address = qemu_plugin_insn_vaddr(insn);

		if (address < KERNEL) {
			qemu_plugin_register_vcpu_insn_exec_cb(insn, end, 0, NULL);
			return;
		}
		qemu_plugin_register_vcpu_insn_exec_cb(insn, address == start ? begin : count, 0,
						       counter_of(address));
	}
}

int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc, char **argv)
{
	for (; argc; argc--, argv++) {
		if (!strncmp(*argv, "start=", 6))
			start = strtoul(*argv + 6, NULL, 16);
		else if (!strncmp(*argv, "output=", 7))
			file = fopen(*argv + 7, "w");
	}
	if (!start || !file)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
