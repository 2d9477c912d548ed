// SPDX-License-Identifier: GPL-2.0
/*
 * Push an SRH on plain IPv6 packets that a route forwards: an LWT_IN program, not
 * a SID.
 *
 * With BPF_LWT_ENCAP_SEG6_INLINE the SRH goes between the IPv6 header and its
 * payload, and segment_list[0] is overwritten with the old destination. With
 * BPF_LWT_ENCAP_SEG6 the packet is encapsulated instead and all segments stay as
 * given.
 *
 *   ip -6 route add fd00:c::/64 encap bpf \
 *           in obj push_srh.bpf.o section lwt_in via fd00:b1::2 dev eth1
 */
#include "seg6.h"

SEC("lwt_in")
int push_srh(struct __sk_buff *skb)
{
	/* The path goes over fc00:b::1; its end is the destination of the packet. */
	const struct in6_addr first = { .s6_addr = { 0xfc, 0, 0, 0x0b, [15] = 1 } };
	const struct in6_addr destination = {};
	struct seg6_srh_2 srh = seg6_srh_of_path(&first, &destination);

	srh.fixed.tag = bpf_htons(0x0007);
	if (bpf_lwt_push_encap(skb, BPF_LWT_ENCAP_SEG6_INLINE, &srh,
			       sizeof(srh)))
		return BPF_DROP;

	/* Look up the route to the new destination, the first segment. */
	return BPF_LWT_REROUTE;
}

char _license[] SEC("license") = "GPL";
