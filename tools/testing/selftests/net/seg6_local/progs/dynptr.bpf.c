// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The packet through bpf_dynptr_from_skb(), which is read-only for this program type. */
#include <linux/errno.h>
#include <linux/bpf.h>
#include <linux/seg6_local.h>
#include <bpf/bpf_helpers.h>

int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *ptr) __ksym;
void *bpf_dynptr_slice(const struct bpf_dynptr *p, __u64 at, void *buf, __u64 len) __ksym;

#define ROUTING_TYPE_OFFSET	42
#define ROUTING_TYPE_SRH	4
#define SRH_FLAGS_OFFSET	45
#define SRH_TAG_OFFSET		46
#define SEGMENT_OFFSET		48
#define SEGMENT_LEN		16
#define TLV_OFFSET		96
#define TLV_LEN			8

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

/* Makes two bytes of the packet the tag of the SRH, without a copy of its own. */
static int copies(struct __sk_buff *skb, __u32 offset)
{
	struct bpf_dynptr ptr;
	const void *from;

	if (bpf_dynptr_from_skb(skb, 0, &ptr))
		return BPF_DROP;
	from = bpf_dynptr_slice(&ptr, offset, NULL, 2);
	if (!from || bpf_lwt_seg6_store_bytes(skb, SRH_TAG_OFFSET, from, 2))
		return BPF_DROP;
	return BPF_OK;
}

SEC("lwt_seg6local")
int copies_apart(struct __sk_buff *skb)
{
	return copies(skb, SEGMENT_OFFSET);
}

SEC("lwt_seg6local")
int copies_overlapping(struct __sk_buff *skb)
{
	return copies(skb, SRH_FLAGS_OFFSET);
}

/* Routes a packet to its last segment, without a copy of that; the SRH is to be validated first. */
SEC("lwt_seg6local")
int routes(struct __sk_buff *skb)
{
	struct bpf_dynptr ptr;
	void *address;

	if (bpf_lwt_seg6_adjust_srh(skb, TLV_OFFSET, TLV_LEN) || bpf_dynptr_from_skb(skb, 0, &ptr))
		return BPF_DROP;
	address = bpf_dynptr_slice(&ptr, SEGMENT_OFFSET, NULL, SEGMENT_LEN);
	if (!address || bpf_lwt_seg6_action(skb, SEG6_LOCAL_ACTION_END_X, address, SEGMENT_LEN))
		return BPF_DROP;
	return BPF_REDIRECT;
}

char _license[] SEC("license") = "GPL";
