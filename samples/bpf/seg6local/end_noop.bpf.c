// SPDX-License-Identifier: GPL-2.0
/*
 * The smallest End.BPF program: the SID behaves like End.
 *
 * Before the program runs, the kernel has checked the SRH, decremented Segments
 * Left and written the next segment into the destination address. BPF_OK asks
 * for a route to that address. The other useful results are BPF_REDIRECT (keep
 * the next hop that bpf_lwt_seg6_action() has chosen) and BPF_DROP.
 *
 *   ip -6 route add fc00::1 encap seg6local action End.BPF \
 *           endpoint obj end_noop.bpf.o section lwt_seg6local count dev eth0
 */
#include "seg6.h"

SEC("lwt_seg6local")
int end_noop(struct __sk_buff *skb)
{
	return BPF_OK;
}

char _license[] SEC("license") = "GPL";
