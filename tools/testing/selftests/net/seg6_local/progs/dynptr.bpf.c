// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The packet through bpf_dynptr_from_skb(), which is read-only for this program type. */
#include <linux/errno.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *ptr) __ksym;

#define ROUTING_TYPE_OFFSET	42
#define ROUTING_TYPE_SRH	4

SEC("lwt_seg6local")
int reads(struct __sk_buff *skb)
{
	struct bpf_dynptr ptr;
	__u8 type = 0;

	if (bpf_dynptr_from_skb(skb, 0, &ptr))
		return BPF_DROP;
	if (bpf_dynptr_read(&type, sizeof(type), &ptr, ROUTING_TYPE_OFFSET, 0))
		return BPF_DROP;
	return type == ROUTING_TYPE_SRH ? BPF_OK : BPF_DROP;
}

SEC("lwt_seg6local")
int writes(struct __sk_buff *skb)
{
	struct bpf_dynptr ptr;
	__u8 type = 0;
	int err;

	if (bpf_dynptr_from_skb(skb, 0, &ptr))
		return BPF_DROP;
	err = bpf_dynptr_write(&ptr, ROUTING_TYPE_OFFSET, &type, sizeof(type), 0);
	return err == -EINVAL ? BPF_OK : BPF_DROP;
}

char _license[] SEC("license") = "GPL";
