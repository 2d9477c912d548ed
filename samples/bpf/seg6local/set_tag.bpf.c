// SPDX-License-Identifier: GPL-2.0
/*
 * Write the tag of the SRH, which marks a packet as a member of a class
 * (RFC 8754, Section 2), then forward as End does.
 *
 * A program reads the packet directly or with bpf_skb_load_bytes(), but it
 * writes only through bpf_lwt_seg6_store_bytes(), and there only to the flags,
 * the tag and the TLVs: the segment list belongs to the source.
 *
 *   ip -6 route add fc00::2 encap seg6local action End.BPF \
 *           endpoint obj set_tag.bpf.o section lwt_seg6local count dev eth0
 */
#include "seg6.h"

#define TAG	0x002a

SEC("lwt_seg6local")
int set_tag(struct __sk_buff *skb)
{
	__be16 tag = bpf_htons(TAG);
	struct seg6_srh srh;
	int off;

	off = seg6_find_srh(skb, &srh);
	if (off < 0)
		return BPF_DROP;

	if (bpf_lwt_seg6_store_bytes(skb, off + offsetof(struct seg6_srh, tag),
				     &tag, sizeof(tag)))
		return BPF_DROP;

	return BPF_OK;
}

char _license[] SEC("license") = "GPL";
