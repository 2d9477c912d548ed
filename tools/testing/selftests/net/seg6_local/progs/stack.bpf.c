// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Programs that use as much stack as the verifier lets them: one with 240 bytes of it calls a
 * function that tail-calls the same program again, as often as the map says. The last one calls
 * the helper. stack.py knows the layout of the map.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define MAX_LEN		128

struct call {
	__u32 links;		/* tail calls that were made */
	__u32 limit;		/* tail calls to make */
	__u32 kind;		/* first argument of the helper behind the packet */
	__u32 len;		/* bytes of data */
	__s64 result;		/* of the helper */
	__u64 first;		/* frame of the first program */
	__u64 last;		/* frame of the program that called the helper */
	__u8 data[MAX_LEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct call);
} call_map SEC(".maps");

/* 0: one more link, 1: the last program. All programs of an array have the same type. */
struct jump {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
};

struct jump seg6local_jump SEC(".maps");
struct jump lwt_in_jump SEC(".maps");

static __always_inline struct call *find_call(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&call_map, &zero);
}

static __always_inline __u64 frame(void)
{
	__u64 pointer;

	asm volatile("%0 = r10" : "=r"(pointer));
	return pointer;
}

static __always_inline __u32 length(struct call *call)
{
	return ((call->len - 1) & (MAX_LEN - 1)) + 1;
}

static __always_inline int jump(struct __sk_buff *skb, void *programs)
{
	struct call *call = find_call();

	if (call)
		bpf_tail_call(skb, programs, call->links++ >= call->limit);
	return BPF_DROP;
}

/* The values live across the call, so the program saves all registers that it can. */
static __always_inline int link(struct __sk_buff *skb, int (*next)(struct __sk_buff *skb))
{
	__u64 a = skb->len, b = skb->mark, c = skb->priority, d = skb->hash;
	struct call *call = find_call();
	int verdict;

	if (!call)
		return BPF_DROP;
	if (!call->links)
		call->first = frame();
	asm volatile("*(u64 *)(r10 - 240) = %0" : : "r"(a));
	asm volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
	verdict = next(skb);
	asm volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
	return a + b + c + d == 0x123456789 ? BPF_DROP : verdict;
}

static __noinline int seg6local_next(struct __sk_buff *skb)
{
	return jump(skb, &seg6local_jump);
}

SEC("lwt_seg6local")
int seg6local_link(struct __sk_buff *skb)
{
	return link(skb, seg6local_next);
}

SEC("lwt_seg6local")
int seg6local_last(struct __sk_buff *skb)
{
	struct call *call = find_call();

	if (!call)
		return BPF_DROP;
	asm volatile("*(u64 *)(r10 - 512) = %0" : : "r"((__u64)skb->len));
	call->last = frame();
	call->result = bpf_lwt_seg6_action(skb, call->kind, call->data, length(call));
	return call->result ? BPF_DROP : BPF_REDIRECT;
}

static __noinline int lwt_in_next(struct __sk_buff *skb)
{
	return jump(skb, &lwt_in_jump);
}

SEC("lwt_in")
int lwt_in_link(struct __sk_buff *skb)
{
	return link(skb, lwt_in_next);
}

SEC("lwt_in")
int lwt_in_last(struct __sk_buff *skb)
{
	struct call *call = find_call();

	if (!call)
		return BPF_DROP;
	asm volatile("*(u64 *)(r10 - 512) = %0" : : "r"((__u64)skb->len));
	call->last = frame();
	call->result = bpf_lwt_push_encap(skb, call->kind, call->data, length(call));
	return call->result ? BPF_DROP : BPF_OK;
}

char _license[] SEC("license") = "GPL";
