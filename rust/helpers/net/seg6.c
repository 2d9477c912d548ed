// SPDX-License-Identifier: GPL-2.0-or-later

#include <net/ip6_route.h>
#include <net/net_namespace.h>
#include <net/seg6_hmac.h>
#include <net/seg6_local.h>

#ifdef CONFIG_IPV6_MULTIPLE_TABLES

__rust_helper struct dst_entry *rust_helper_ip6_blk_hole_entry(struct net *net)
{
	return &net->ipv6.ip6_blk_hole_entry->dst;
}

__rust_helper
struct dst_entry *rust_helper_ip6_route_output(struct net *net, const struct sock *sk,
					       struct flowi6 *fl6)
{
	return ip6_route_output(net, sk, fl6);
}

#endif

#if IS_ENABLED(CONFIG_IPV6_SEG6_LOCAL_RUST)

__rust_helper struct seg6_bpf_srh_state *rust_helper_seg6_bpf_srh_state_lock(void)
{
	return seg6_bpf_srh_state_lock();
}

__rust_helper void rust_helper_seg6_bpf_srh_state_unlock(void)
{
	seg6_bpf_srh_state_unlock();
}

__rust_helper struct seg6_bpf_srh_state *rust_helper_seg6_bpf_srh_state_this_cpu(void)
{
	return this_cpu_ptr(&seg6_bpf_srh_states);
}

#endif
