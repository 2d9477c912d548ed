// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Asks for an SRH that is too large after every single byte by which it grows: the space in front
 * of the packet takes every value from that of a fresh packet down to none.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define ROUNDS		256
#define TLVS_OFFSET	96

struct counts {
	__u32 grown;		/* calls with 1 that returned 0 */
	__u32 refused;		/* calls with a huge number that returned -EINVAL */
	__s32 delta;		/* the huge number */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counts);
} counts_map SEC(".maps");

SEC("lwt_seg6local")
int grow(struct __sk_buff *skb)
{
	struct counts *counts;
	__u32 zero = 0;

	counts = bpf_map_lookup_elem(&counts_map, &zero);
	if (!counts)
		return BPF_DROP;
	for (int i = 0; i < ROUNDS; i++) {
		if (bpf_lwt_seg6_adjust_srh(skb, TLVS_OFFSET, 1) == 0)
			counts->grown++;
		if (bpf_lwt_seg6_adjust_srh(skb, TLVS_OFFSET, counts->delta) == -22)
			counts->refused++;
	}
	return BPF_OK;
}

char _license[] SEC("license") = "GPL";
