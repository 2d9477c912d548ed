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
	/* The path is fc00:b::1, then the destination of the packet. */
	struct seg6_srh_2 srh = {
		.fixed = {
			.hdr_ext_len = sizeof(srh) / 8 - 1,
			.routing_type = SEG6_ROUTING_TYPE,
			.segments_left = 1,
			.last_entry = 1,
			.tag = bpf_htons(0x0007),
		},
		.segment_list = {
			[1] = { .s6_addr = { 0xfc, 0, 0, 0x0b, [15] = 1 } },
		},
	};

	if (bpf_lwt_push_encap(skb, BPF_LWT_ENCAP_SEG6_INLINE, &srh,
			       sizeof(srh)))
		return BPF_DROP;

	/* Look up the route to the new destination, the first segment. */
	return BPF_LWT_REROUTE;
}

char _license[] SEC("license") = "GPL";
