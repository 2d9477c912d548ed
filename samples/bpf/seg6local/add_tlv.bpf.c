// SPDX-License-Identifier: GPL-2.0
/*
 * Append a TLV of 8 bytes to the SRH, then forward as End does.
 *
 * The TLV carries the index of the interface on which the packet arrived:
 *
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |  Type (124)   |  Length (6)   |           Reserved            |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                        Interface index                        |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 * bpf_lwt_seg6_adjust_srh() opens a gap of zeros and corrects the payload
 * length of the packet. After the program the kernel sets Hdr Ext Len and checks
 * the SRH again: its length must be a multiple of 8 bytes and the TLVs must fill
 * it exactly, otherwise the packet is dropped.
 *
 *   ip -6 route add fc00::3 encap seg6local action End.BPF \
 *           endpoint obj add_tlv.bpf.o section lwt_seg6local count dev eth0
 */
#include "seg6.h"

#define TLV_TYPE	124	/* for experiments: RFC 8754, Section 8.2 */

struct ingress_tlv {
	__u8	type;
	__u8	length;		/* of what follows, in bytes */
	__u16	reserved;
	__be32	ifindex;
};

SEC("lwt_seg6local")
int add_tlv(struct __sk_buff *skb)
{
	struct ingress_tlv tlv = {
		.type = TLV_TYPE,
		.length = sizeof(tlv) - 2,
		.ifindex = bpf_htonl(skb->ingress_ifindex),
	};
	struct seg6_srh srh;
	__u32 end;
	int off;

	off = seg6_find_srh(skb, &srh);
	if (off < 0)
		return BPF_DROP;

	/* Hdr Ext Len is one byte: a full SRH goes on as it is. */
	if (srh.hdr_ext_len > 255 - sizeof(tlv) / 8)
		return BPF_OK;

	/* Other TLVs may be there. The kernel looks for an HMAC at the end. */
	end = off + seg6_srh_len(&srh);
	if (srh.flags & SR6_FLAG1_HMAC)
		end -= SEG6_HMAC_TLV_LEN;

	if (bpf_lwt_seg6_adjust_srh(skb, end, sizeof(tlv)))
		return BPF_DROP;
	if (bpf_lwt_seg6_store_bytes(skb, end, &tlv, sizeof(tlv)))
		return BPF_DROP;

	return BPF_OK;
}

char _license[] SEC("license") = "GPL";
