// SPDX-License-Identifier: GPL-2.0-or-later

#include <linux/skbuff.h>
#include <net/dst.h>
#include <net/inet_ecn.h>
#include <net/ip_tunnels.h>

#ifdef CONFIG_NET

__rust_helper __be16 rust_helper_skb_get_protocol(const struct sk_buff *skb)
{
	return skb->protocol;
}

__rust_helper void rust_helper_skb_set_protocol(struct sk_buff *skb, __be16 protocol)
{
	skb->protocol = protocol;
}

__rust_helper struct net_device *rust_helper_skb_get_dev(const struct sk_buff *skb)
{
	return skb->dev;
}

__rust_helper void rust_helper_skb_set_dev(struct sk_buff *skb, struct net_device *dev)
{
	skb->dev = dev;
}

__rust_helper int rust_helper_skb_get_iif(const struct sk_buff *skb)
{
	return skb->skb_iif;
}

__rust_helper u32 rust_helper_skb_get_mark(const struct sk_buff *skb)
{
	return skb->mark;
}

__rust_helper bool rust_helper_skb_get_encapsulation(const struct sk_buff *skb)
{
	return skb->encapsulation;
}

__rust_helper void rust_helper_skb_set_encapsulation(struct sk_buff *skb, bool encapsulation)
{
	skb->encapsulation = encapsulation;
}

__rust_helper unsigned int rust_helper_skb_get_gso_type(const struct sk_buff *skb)
{
	return skb_shinfo(skb)->gso_type;
}

__rust_helper void rust_helper_skb_set_gso_type(struct sk_buff *skb, unsigned int gso_type)
{
	skb_shinfo(skb)->gso_type = gso_type;
}

__rust_helper unsigned int rust_helper_skb_headlen(const struct sk_buff *skb)
{
	return skb_headlen(skb);
}

__rust_helper struct dst_entry *rust_helper_skb_dst(const struct sk_buff *skb)
{
	return skb_dst(skb);
}

__rust_helper void rust_helper_skb_dst_drop(struct sk_buff *skb)
{
	skb_dst_drop(skb);
}

__rust_helper void rust_helper_skb_dst_set(struct sk_buff *skb, struct dst_entry *dst)
{
	skb_dst_set(skb, dst);
}

__rust_helper void rust_helper_skb_set_refdst(struct sk_buff *skb, unsigned long refdst)
{
	struct dst_entry *dst = (struct dst_entry *)(refdst & SKB_DST_PTRMASK);

	if (refdst & SKB_DST_NOREF)
		skb_dst_set_noref(skb, dst);
	else
		skb_dst_set(skb, dst);
}

/* skb_ensure_writable(), inline for a packet that is writable already. */
__rust_helper int rust_helper_skb_make_writable(struct sk_buff *skb, unsigned int len)
{
	skb_might_realloc(skb);
	if (likely(len <= skb_headlen(skb) && !skb_cloned(skb)))
		return 0;
	return skb_ensure_writable(skb, len);
}

__rust_helper void rust_helper_kfree_skb_reason(struct sk_buff *skb, enum skb_drop_reason reason)
{
	kfree_skb_reason(skb, reason);
}

__rust_helper struct sk_buff *rust_helper_alloc_skb(unsigned int size, gfp_t priority)
{
	return alloc_skb(size, priority);
}

__rust_helper void rust_helper_skb_reserve(struct sk_buff *skb, int len)
{
	skb_reserve(skb, len);
}

__rust_helper void *rust_helper___skb_pull(struct sk_buff *skb, unsigned int len)
{
	return __skb_pull(skb, len);
}

__rust_helper bool rust_helper_pskb_may_pull(struct sk_buff *skb, unsigned int len)
{
	return pskb_may_pull(skb, len);
}

__rust_helper int rust_helper_skb_cow_head(struct sk_buff *skb, unsigned int headroom)
{
	return skb_cow_head(skb, headroom);
}

__rust_helper u8 rust_helper_skb_get_ip_summed(const struct sk_buff *skb)
{
	return skb->ip_summed;
}

__rust_helper
void rust_helper___skb_postpull_rcsum(struct sk_buff *skb, const void *start, unsigned int len,
				      unsigned int off)
{
	__skb_postpull_rcsum(skb, start, len, off);
}

__rust_helper
void rust_helper_skb_postpush_rcsum(struct sk_buff *skb, const void *start, unsigned int len)
{
	skb_postpush_rcsum(skb, start, len);
}

__rust_helper void rust_helper_skb_partial_csum_to_transport_header(struct sk_buff *skb)
{
	if (skb->ip_summed == CHECKSUM_PARTIAL)
		skb_set_transport_header(skb, skb_checksum_start_offset(skb));
}

__rust_helper void rust_helper_skb_mac_header_rebuild(struct sk_buff *skb)
{
	skb_mac_header_rebuild(skb);
}

__rust_helper int rust_helper_skb_network_offset(const struct sk_buff *skb)
{
	return skb_network_offset(skb);
}

__rust_helper int rust_helper_skb_transport_offset(const struct sk_buff *skb)
{
	return skb_transport_offset(skb);
}

__rust_helper unsigned int rust_helper_skb_headroom(const struct sk_buff *skb)
{
	return skb_headroom(skb);
}

/* Whether the offsets of the headers, from the start of the buffer, may grow by so much. */
__rust_helper bool rust_helper_skb_headers_may_move(const struct sk_buff *skb, unsigned int by)
{
	unsigned int last = skb->network_header;

	if (skb_transport_header_was_set(skb))
		last = max_t(unsigned int, last, skb->transport_header);
	if (skb->encapsulation)
		last = max_t(unsigned int, last, skb->inner_transport_header);
	if (skb->ip_summed == CHECKSUM_PARTIAL)
		last = max_t(unsigned int, last, skb->csum_start);
	return last + by < U16_MAX;
}

__rust_helper u16 rust_helper_skb_get_mac_len(const struct sk_buff *skb)
{
	return skb->mac_len;
}

__rust_helper int rust_helper_skb_mac_offset(const struct sk_buff *skb)
{
	return skb_mac_offset(skb);
}

__rust_helper bool rust_helper_skb_mac_header_was_set(const struct sk_buff *skb)
{
	return skb_mac_header_was_set(skb);
}

__rust_helper bool rust_helper_skb_transport_header_was_set(const struct sk_buff *skb)
{
	return skb_transport_header_was_set(skb);
}

__rust_helper void rust_helper_skb_set_mac_header(struct sk_buff *skb, int offset)
{
	skb_set_mac_header(skb, offset);
}

__rust_helper void rust_helper_skb_set_network_header(struct sk_buff *skb, int offset)
{
	skb_set_network_header(skb, offset);
}

__rust_helper void rust_helper_skb_set_transport_header(struct sk_buff *skb, int offset)
{
	skb_set_transport_header(skb, offset);
}

__rust_helper void rust_helper_skb_unset_mac_header(struct sk_buff *skb)
{
	skb_unset_mac_header(skb);
}

__rust_helper void rust_helper_skb_reset_mac_len(struct sk_buff *skb)
{
	skb_reset_mac_len(skb);
}

__rust_helper void rust_helper_skb_set_inner_protocol(struct sk_buff *skb, __be16 protocol)
{
	skb_set_inner_protocol(skb, protocol);
}

__rust_helper void rust_helper_skb_set_inner_transport_header(struct sk_buff *skb, int offset)
{
	skb_set_inner_transport_header(skb, offset);
}

__rust_helper void rust_helper_skb_clear_hash(struct sk_buff *skb)
{
	skb_clear_hash(skb);
}

__rust_helper void rust_helper_nf_reset_ct(struct sk_buff *skb)
{
	nf_reset_ct(skb);
}

__rust_helper void rust_helper_skb_orphan(struct sk_buff *skb)
{
	skb_orphan(skb);
}

__rust_helper bool rust_helper_skb_is_gso(const struct sk_buff *skb)
{
	return skb_is_gso(skb);
}

__rust_helper bool rust_helper_skb_warn_if_lro(const struct sk_buff *skb)
{
	return skb_warn_if_lro(skb);
}

__rust_helper void rust_helper_skb_forward_csum(struct sk_buff *skb)
{
	skb_forward_csum(skb);
}

#endif

#ifdef CONFIG_INET

/* iptunnel_handle_offloads(), inline for a packet that has none. */
__rust_helper int rust_helper_iptunnel_add_offloads(struct sk_buff *skb, int gso_type)
{
	if (skb_is_gso(skb) || skb->encapsulation || skb->ip_summed == CHECKSUM_PARTIAL)
		return iptunnel_handle_offloads(skb, gso_type);
	skb_reset_inner_headers(skb);
	skb->ip_summed = CHECKSUM_NONE;
	return 0;
}

__rust_helper int rust_helper_iptunnel_pull_offloads(struct sk_buff *skb)
{
	return iptunnel_pull_offloads(skb);
}

__rust_helper int rust_helper_INET_ECN_set_ce(struct sk_buff *skb)
{
	return INET_ECN_set_ce(skb);
}

#endif
