// SPDX-License-Identifier: GPL-2.0-or-later

#include <linux/ipv6.h>
#include <linux/netfilter.h>
#include <net/lwtunnel.h>

#ifdef CONFIG_LWTUNNEL

__rust_helper bool rust_helper_lwtunnel_nf_hooks_enabled(void)
{
	return static_branch_unlikely(&nf_hooks_lwtunnel_enabled);
}

__rust_helper bool rust_helper_has_ipv6(void)
{
	return ipv6_mod_enabled();
}

__rust_helper
int rust_helper_nf_hook(u8 pf, unsigned int hook, struct net *net, struct sock *sk,
			struct sk_buff *skb, struct net_device *in, struct net_device *out,
			int (*okfn)(struct net *, struct sock *, struct sk_buff *))
{
	return nf_hook(pf, hook, net, sk, skb, in, out, okfn);
}

#endif
