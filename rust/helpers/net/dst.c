// SPDX-License-Identifier: GPL-2.0-or-later

#include <linux/netdevice.h>
#include <net/dst.h>

#ifdef CONFIG_NET

__rust_helper void rust_helper_dst_hold(struct dst_entry *dst)
{
	dst_hold(dst);
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

#endif
