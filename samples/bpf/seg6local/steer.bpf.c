// SPDX-License-Identifier: GPL-2.0
/*
 * Choose the next hop from the content of the packet: UDP packets to one port
 * are sent through another neighbor (End.X), all others follow the route to the
 * next segment (End).
 *
 * bpf_lwt_seg6_action() looks up the next hop and attaches it to the packet;
 * BPF_REDIRECT keeps it, while BPF_OK would replace it by the route to the
 * destination address.
 *
 *   ip -6 route add fc00::4 encap seg6local action End.BPF \
 *           endpoint obj steer.bpf.o section lwt_seg6local count dev eth0
 */
#include <linux/udp.h>
#include "seg6.h"

#define UDP_PORT	5001

/* The neighbor for UDP_PORT: fd00:b2::2. */
#define NEXT_HOP	{ .s6_addr = { 0xfd, 0, 0, 0xb2, [15] = 2 } }

/* The destination port, or 0 if the payload of the SRH is not UDP. */
static __always_inline __u16 udp_port(struct __sk_buff *skb)
{
	struct seg6_srh srh;
	struct udphdr udp;
	int off;

	off = seg6_find_srh(skb, &srh);
	if (off < 0 || srh.next_header != IPPROTO_UDP)
		return 0;

	if (bpf_skb_load_bytes(skb, off + seg6_srh_len(&srh), &udp,
			       sizeof(udp)))
		return 0;

	return bpf_ntohs(udp.dest);
}

SEC("lwt_seg6local")
int steer(struct __sk_buff *skb)
{
	struct in6_addr next_hop = NEXT_HOP;

	if (udp_port(skb) != UDP_PORT)
		return BPF_OK;

	if (bpf_lwt_seg6_action(skb, SEG6_LOCAL_ACTION_END_X, &next_hop,
				sizeof(next_hop)))
		return BPF_DROP;

	return BPF_REDIRECT;
}

char _license[] SEC("license") = "GPL";
