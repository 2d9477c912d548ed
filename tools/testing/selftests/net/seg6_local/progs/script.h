/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the programs of script.bpf.c do: a list of helper calls. script.py knows the layout, too. */
#ifndef SCRIPT_H
#define SCRIPT_H

#include <linux/types.h>

#define MAX_OPS		16
#define MAX_RUNS	4
#define MAX_LEN		2048
#define EVERY_RUN	0xffffffff

enum call {
	CALL_NONE,
	CALL_STORE_BYTES,	/* a: offset, len, data */
	CALL_ADJUST_SRH,	/* a: offset, b: delta */
	CALL_ACTION,		/* a: action, len, data */
	CALL_PUSH_ENCAP,	/* a: type, len, data */
	CALL_LOAD_BYTES,	/* a: offset, len; into the data */
	CALL_SET_MARK,		/* a: mark */
	CALL_SET_CB,		/* a: index, b: value */
	CALL_LEN,		/* result: skb->len */
};

struct op {
	__u32 call;
	__u32 a;
	__u32 b;
	__u32 len;
	__u32 data;		/* where the data of this call starts in script.data */
	__u32 pad;
	__s64 result;
};

struct script {
	__u32 runs;				/* how often a program was started */
	__u32 verdict[MAX_RUNS];		/* what it returns then */
	__u32 ops_of_run;			/* the run that makes the calls, or EVERY_RUN */
	__u32 cb[5];				/* what skb->cb held at the start of the last run */
	__u32 pad;
	struct op ops[MAX_OPS];
	__u8 data[2 * MAX_LEN];
};

#endif
