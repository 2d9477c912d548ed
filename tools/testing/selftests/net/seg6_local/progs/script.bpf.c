// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Programs that do what a map tells them: the test writes a list of helper calls into the map,
 * sends a packet, and reads the results of the calls from the map. ebpf.py and script.py know the
 * layout.
 */
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "script.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct script);
} script_map SEC(".maps");

/* The calls that programs of both types may make. */
static __always_inline
__s64 common_call(struct __sk_buff *skb, struct op *op, __u8 *data, __u32 len)
{
	switch (op->call) {
	case CALL_LOAD_BYTES:
		return bpf_skb_load_bytes(skb, op->a, data, len);
	case CALL_SET_MARK:
		skb->mark = op->a;
		return 0;
	case CALL_SET_CB:
		switch (op->a) {
		case 0:
			skb->cb[0] = op->b;
			return 0;
		case 4:
			skb->cb[4] = op->b;
			return 0;
		}
		return -1;
	case CALL_LEN:
		return skb->len;
	}
	return -1;
}

static __always_inline
__s64 seg6local_call(struct __sk_buff *skb, struct op *op, __u8 *data, __u32 len)
{
	switch (op->call) {
	case CALL_STORE_BYTES:
		return bpf_lwt_seg6_store_bytes(skb, op->a, data, len);
	case CALL_ADJUST_SRH:
		return bpf_lwt_seg6_adjust_srh(skb, op->a, op->b);
	case CALL_ACTION:
		return bpf_lwt_seg6_action(skb, op->a, data, len);
	}
	return common_call(skb, op, data, len);
}

static __always_inline
__s64 lwt_in_call(struct __sk_buff *skb, struct op *op, __u8 *data, __u32 len)
{
	if (op->call == CALL_PUSH_ENCAP)
		return bpf_lwt_push_encap(skb, op->a, data, len);
	return common_call(skb, op, data, len);
}

static __always_inline int play(struct __sk_buff *skb, bool seg6local)
{
	struct script *script;
	__u32 zero = 0;
	__u32 run;

	script = bpf_map_lookup_elem(&script_map, &zero);
	if (!script)
		return BPF_DROP;
	run = script->runs++;
	script->cb[0] = skb->cb[0];
	script->cb[1] = skb->cb[1];
	script->cb[2] = skb->cb[2];
	script->cb[3] = skb->cb[3];
	script->cb[4] = skb->cb[4];

	if (script->ops_of_run != EVERY_RUN && script->ops_of_run != run)
		goto out;
	for (int i = 0; i < MAX_OPS; i++) {
		struct op *op = &script->ops[i];
		__u32 start = op->data & (MAX_LEN - 1);
		__u32 len = ((op->len - 1) & (MAX_LEN - 1)) + 1;

		if (op->call == CALL_NONE)
			break;
		op->result = seg6local ? seg6local_call(skb, op, script->data + start, len)
				       : lwt_in_call(skb, op, script->data + start, len);
	}
out:
	return script->verdict[run & (MAX_RUNS - 1)];
}

SEC("lwt_seg6local")
int script_seg6local(struct __sk_buff *skb)
{
	return play(skb, true);
}

SEC("lwt_in")
int script_lwt_in(struct __sk_buff *skb)
{
	return play(skb, false);
}

char _license[] SEC("license") = "GPL";
