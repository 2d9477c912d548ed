// SPDX-License-Identifier: GPL-2.0-or-later

#include <net/addrconf.h>
#include <net/ip6_fib.h>
#include <net/ip6_route.h>
#include <net/l3mdev.h>
#include <net/net_namespace.h>
#include <net/nexthop.h>

#ifdef CONFIG_IPV6_SEG6_LWTUNNEL

/* seg6_init() is the last of inet6_init() that sets up what routes of SRv6 need. */
__rust_helper bool rust_helper_ipv6_is_on(const struct net *net)
{
	return READ_ONCE(net->ipv6.seg6_data);
}

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

/* rt_genid_ipv6(), before what it tells of is read. */
__rust_helper int rust_helper_rt_genid_ipv6(const struct net *net)
{
	return atomic_read_acquire(&net->ipv6.fib6_sernum);
}

/* A router, not a host: what a lookup answers depends on nothing but the tables and rules. */
__rust_helper bool rust_helper_ipv6_is_router(const struct net *net)
{
	return READ_ONCE(net->ipv6.devconf_all->forwarding);
}

__rust_helper bool rust_helper_fib6_routes_require_src(const struct net *net)
{
	return fib6_routes_require_src(net);
}

__rust_helper bool rust_helper_fib6_has_custom_rules(const struct net *net)
{
	return fib6_has_custom_rules(net);
}

__rust_helper int rust_helper_dev_l3_master(const struct net_device *dev)
{
	return netif_is_l3_slave(dev) || netif_is_l3_master(dev) ?
	       l3mdev_master_ifindex_rcu(dev) : 0;
}

/* The route is that of one path, for all packets to the address, and may not expire. */
__rust_helper bool rust_helper_rt6_is_plain(const struct rt6_info *rt)
{
	const struct fib6_info *from = rcu_dereference(rt->from);

	return !rt->dst.error && !rt->dst.lwtstate &&
	       (rt->rt6i_flags & RTF_PCPU || rt->dst.rt_uncached_list) &&
	       from && !READ_ONCE(from->fib6_nsiblings) &&
	       !(from->nh && nexthop_is_multipath(from->nh));
}

/* Nobody has given the route an end or another path MTU, or has let go of its entry or device. */
__rust_helper bool rust_helper_rt6_is_unchanged(const struct rt6_info *rt)
{
	const struct fib6_info *from = rcu_dereference(rt->from);

	return READ_ONCE(rt->dst.obsolete) == DST_OBSOLETE_FORCE_CHK && from &&
	       !((READ_ONCE(rt->rt6i_flags) | READ_ONCE(from->fib6_flags)) &
		 (RTF_EXPIRES | RTF_MODIFIED));
}

#endif

#ifdef CONFIG_IPV6_SEG6_HMAC

/* INT_MAX: IPv6 is off on the device. */
__rust_helper int rust_helper_seg6_require_hmac(const struct net_device *dev)
{
	const struct inet6_dev *idev = __in6_dev_get(dev);

	return idev ? READ_ONCE(idev->cnf.seg6_require_hmac) : INT_MAX;
}

#endif
