// SPDX-License-Identifier: GPL-2.0-or-later

#include <linux/netdevice.h>
#include <net/dst.h>
#include <net/ip.h>
#include <net/l3mdev.h>
#include <net/route.h>

#ifdef CONFIG_NET

__rust_helper void rust_helper_dst_hold(struct dst_entry *dst)
{
	dst_hold(dst);
}

__rust_helper bool rust_helper_dst_hold_safe(struct dst_entry *dst)
{
	return dst_hold_safe(dst);
}

__rust_helper int rust_helper_dst_input(struct sk_buff *skb)
{
	return dst_input(skb);
}

__rust_helper struct net_device *rust_helper_dst_dev(const struct dst_entry *dst)
{
	return dst_dev(dst);
}

__rust_helper unsigned int rust_helper_dev_flags(const struct net_device *dev)
{
	return dev->flags;
}

__rust_helper int rust_helper_dev_ifindex(const struct net_device *dev)
{
	return dev->ifindex;
}

__rust_helper struct net *rust_helper_dev_net(const struct net_device *dev)
{
	return dev_net(dev);
}

/* dev_net_rcu(), with bottom halves off. */
__rust_helper struct net *rust_helper_dev_net_bh(const struct net_device *dev)
{
#ifdef CONFIG_NET_NS
	return rcu_dereference_bh(dev->nd_net.net);
#else
	return &init_net;
#endif
}

__rust_helper unsigned short rust_helper_dev_type(const struct net_device *dev)
{
	return dev->type;
}

__rust_helper unsigned int rust_helper_dev_mtu(const struct net_device *dev)
{
	return READ_ONCE(dev->mtu);
}

__rust_helper
struct net_device *rust_helper_netdev_notifier_info_to_dev(const struct netdev_notifier_info *info)
{
	return netdev_notifier_info_to_dev(info);
}

__rust_helper bool rust_helper_netif_carrier_ok(const struct net_device *dev)
{
	return netif_carrier_ok(dev);
}

__rust_helper int rust_helper_dev_queue_xmit(struct sk_buff *skb)
{
	return dev_queue_xmit(skb);
}

#endif

#ifdef CONFIG_NET_L3_MASTER_DEV

__rust_helper bool rust_helper_netif_is_l3_receiver(const struct net_device *dev)
{
	return (netif_is_l3_master(dev) || netif_has_l3_rx_handler(dev)) &&
	       dev->l3mdev_ops->l3mdev_l3_rcv;
}

__rust_helper
struct sk_buff *rust_helper_l3mdev_l3_rcv(struct net_device *dev, struct sk_buff *skb, u16 proto)
{
	return dev->l3mdev_ops->l3mdev_l3_rcv(dev, skb, proto);
}

#endif

#ifdef CONFIG_INET

__rust_helper
enum skb_drop_reason rust_helper_ip_route_input(struct sk_buff *skb, __be32 dst, __be32 src,
						struct net_device *dev)
{
	return ip_route_input(skb, dst, src, 0, dev);
}

/* Whether @clone is what rt_dst_clone() would make of @rt now, but for its gateway. */
__rust_helper bool rust_helper_rt_is_clone(const struct rtable *clone, const struct rtable *rt)
{
	return clone->dst.dev == rt->dst.dev &&
	       READ_ONCE(clone->dst.obsolete) == DST_OBSOLETE_FORCE_CHK &&
	       clone->dst.flags == rt->dst.flags &&
	       clone->dst._metrics == rt->dst._metrics &&
	       clone->dst.input == READ_ONCE(rt->dst.input) &&
	       clone->dst.output == READ_ONCE(rt->dst.output) &&
	       clone->dst.lwtstate == rt->dst.lwtstate &&
	       clone->dst.error == rt->dst.error &&
	       READ_ONCE(clone->dst.expires) == READ_ONCE(rt->dst.expires) &&
#ifdef CONFIG_IP_ROUTE_CLASSID
	       clone->dst.tclassid == rt->dst.tclassid &&
#endif
	       clone->rt_genid == rt->rt_genid &&
	       clone->rt_flags == rt->rt_flags &&
	       clone->rt_type == rt->rt_type &&
	       clone->rt_is_input == rt->rt_is_input &&
	       clone->rt_iif == rt->rt_iif &&
	       clone->rt_mtu_locked == rt->rt_mtu_locked &&
	       clone->rt_pmtu == rt->rt_pmtu;
}

__rust_helper
void rust_helper_ip_dst_copy_metrics(struct dst_entry *to, struct dst_entry *from)
{
	ip_dst_init_metrics(to, (struct dst_metrics *)dst_metrics_ptr(from));
}

#endif
