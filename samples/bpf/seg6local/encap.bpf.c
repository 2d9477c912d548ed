// SPDX-License-Identifier: GPL-2.0
/*
 * Put the packet into an outer IPv6 packet with an SRH of its own: the behavior
 * End.B6.Encaps (RFC 8986, Section 4.13), with a segment list that a program may
 * choose for each packet.
 *
 * The kernel fills in the Next Header of the new SRH and the whole outer IPv6
 * header: its destination is the first segment, its source an address of the
 * router, the traffic class, flow label and hop limit are those of the packet.
 *
 *   ip -6 route add fc00::5 encap seg6local action End.BPF \
 *           endpoint obj encap.bpf.o section lwt_seg6local count dev eth0
 */
#include "seg6.h"

SEC("lwt_seg6local")
int encap(struct __sk_buff *skb)
{
	const struct in6_addr first = { .s6_addr = { 0xfc, 0, 0, 0x0b, [15] = 1 } };
	const struct in6_addr last = { .s6_addr = { 0xfc, 0, 0, 0x0b, [15] = 2 } };
	struct seg6_srh_2 srh = seg6_srh_of_path(&first, &last);

	if (bpf_lwt_seg6_action(skb, SEG6_LOCAL_ACTION_END_B6_ENCAP, &srh,
				sizeof(srh)))
		return BPF_DROP;

	/* The helper has found the route to the first segment: keep it. */
	return BPF_REDIRECT;
}

char _license[] SEC("license") = "GPL";
