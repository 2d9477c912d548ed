// SPDX-License-Identifier: GPL-2.0-or-later

#include <net/netlink.h>

#ifdef CONFIG_NET

__rust_helper
int rust_helper_nla_parse_nested_deprecated(struct nlattr *tb[], int maxtype,
					    const struct nlattr *nla,
					    const struct nla_policy *policy,
					    struct netlink_ext_ack *extack)
{
	return nla_parse_nested_deprecated(tb, maxtype, nla, policy, extack);
}

__rust_helper
struct nlattr *rust_helper_nla_nest_start_noflag(struct sk_buff *skb, int attrtype)
{
	return nla_nest_start_noflag(skb, attrtype);
}

__rust_helper struct nlattr *rust_helper_nla_nest_start(struct sk_buff *skb, int attrtype)
{
	return nla_nest_start(skb, attrtype);
}

__rust_helper int rust_helper_nla_nest_end_safe(struct sk_buff *skb, struct nlattr *start)
{
	return nla_nest_end_safe(skb, start);
}

__rust_helper void rust_helper_nla_nest_cancel(struct sk_buff *skb, struct nlattr *start)
{
	nla_nest_cancel(skb, start);
}

__rust_helper
int rust_helper_nla_put_u64_64bit(struct sk_buff *skb, int attrtype, u64 value, int padattr)
{
	return nla_put_u64_64bit(skb, attrtype, value, padattr);
}

#endif
