/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The Segment Routing Header (SRH) as a BPF program sees it.
 *
 * Offsets are counted from the start of the IPv6 header, which is where the
 * data of a BPF_PROG_TYPE_LWT_SEG6LOCAL or BPF_PROG_TYPE_LWT_IN program starts.
 */
#ifndef SEG6LOCAL_SAMPLES_SEG6_H
#define SEG6LOCAL_SAMPLES_SEG6_H

#include <stddef.h>
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ipv6.h>
#include <linux/seg6.h>
#include <linux/seg6_local.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define SEG6_ROUTING_TYPE	4	/* RFC 8754, Section 2 */
#define SEG6_MAX_EXT_HDRS	4	/* that seg6_find_srh() looks behind */
#define SEG6_HMAC_TLV_LEN	40	/* with a digest of 32 bytes */

/*
 * The fixed part of the SRH, with the names of RFC 8754, Section 2:
 *
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Next Header   |  Hdr Ext Len  | Routing Type  | Segments Left |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |  Last Entry   |     Flags     |              Tag              |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 * The segment list (Last Entry + 1 addresses, the last segment first) and
 * optional TLVs follow.
 */
struct seg6_srh {
	__u8	next_header;
	__u8	hdr_ext_len;	/* in units of 8 bytes, without the first 8 */
	__u8	routing_type;
	__u8	segments_left;
	__u8	last_entry;
	__u8	flags;
	__be16	tag;
};

/* An SRH of two segments. */
struct seg6_srh_2 {
	struct seg6_srh fixed;
	struct in6_addr segment_list[2];
};

/* The SRH of a path over two segments, to hand to a helper that pushes it. */
static __always_inline struct seg6_srh_2
seg6_srh_of_path(const struct in6_addr *first, const struct in6_addr *last)
{
	return (struct seg6_srh_2) {
		.fixed = {
			.hdr_ext_len = sizeof(struct seg6_srh_2) / 8 - 1,
			.routing_type = SEG6_ROUTING_TYPE,
			.segments_left = 1,
			.last_entry = 1,
		},
		.segment_list = { *last, *first },
	};
}

/*
 * seg6_find_srh - find the SRH and copy its fixed part
 *
 * Hop-by-hop and destination options in front of the SRH are skipped.
 *
 * Returns the offset of the SRH, or a negative number if there is none.
 */
static __always_inline int seg6_find_srh(struct __sk_buff *skb,
					 struct seg6_srh *srh)
{
	__u32 off = sizeof(struct ipv6hdr);
	struct ipv6_opt_hdr opt;
	__u8 next_header;

	if (bpf_skb_load_bytes(skb, offsetof(struct ipv6hdr, nexthdr),
			       &next_header, sizeof(next_header)))
		return -1;

	for (int i = 0; i < SEG6_MAX_EXT_HDRS; i++) {
		if (next_header == IPPROTO_ROUTING) {
			if (bpf_skb_load_bytes(skb, off, srh, sizeof(*srh)) ||
			    srh->routing_type != SEG6_ROUTING_TYPE)
				return -1;
			return off;
		}
		if (next_header != IPPROTO_HOPOPTS &&
		    next_header != IPPROTO_DSTOPTS)
			return -1;
		if (bpf_skb_load_bytes(skb, off, &opt, sizeof(opt)))
			return -1;
		next_header = opt.nexthdr;
		off += (opt.hdrlen + 1) << 3;
	}
	return -1;
}

/* The length of the SRH in bytes, with segment list and TLVs. */
static __always_inline __u32 seg6_srh_len(const struct seg6_srh *srh)
{
	return (srh->hdr_ext_len + 1) << 3;
}

#endif /* SEG6LOCAL_SAMPLES_SEG6_H */
