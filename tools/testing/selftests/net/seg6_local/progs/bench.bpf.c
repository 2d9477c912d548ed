// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What bench.py measures with: programs that make packets, and programs for SIDs and routes.
 *
 * The packets that the latter get have no header between the IPv6 header and the SRH, whose two
 * segments end it.
 */
#include <linux/bpf.h>
#include <linux/in6.h>
#include <linux/seg6_local.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define FRAME_SIZE	2048
#define FLAGS_OFFSET	(40 + 5)
#define TAG_OFFSET	(40 + 6)
#define TLVS_OFFSET	(40 + 8 + 2 * 16)

/* bench_scene.py knows this layout, too. */
struct frame {
	__u32 length;
	__u32 offset;		/* of what changes from packet to packet */
	__u32 mask;		/* which bits of two bytes do, or by how much TCP advances */
	__u32 count;
	__u32 device;		/* that transmits a segment of TCP */
	__u32 complement;	/* where that of the sequence number is: the checksum stays */
	__u8 data[FRAME_SIZE];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct frame);
} frame_map SEC(".maps");

/* The buffer of a packet comes back as the network stack has left it: all of it is written anew. */
static __always_inline int write_frame(struct xdp_md *ctx, struct frame *frame)
{
	__u32 length = ((frame->length - 1) & (FRAME_SIZE - 1)) + 1;

	return bpf_xdp_store_bytes(ctx, 0, frame->data, length);
}

SEC("xdp")
int make_packet(struct xdp_md *ctx)
{
	struct frame *frame;
	__u32 zero = 0;
	__u32 number;
	__u8 *bytes;

	frame = bpf_map_lookup_elem(&frame_map, &zero);
	if (!frame)
		return XDP_ABORTED;
	bytes = &frame->data[frame->offset & (FRAME_SIZE / 2 - 1)];
	number = ((bytes[0] << 8 | bytes[1]) & ~frame->mask) | (frame->count++ & frame->mask);
	bytes[0] = number >> 8;
	bytes[1] = number;
	return write_frame(ctx, frame) ? XDP_ABORTED : XDP_PASS;
}

static __always_inline void store_number(struct frame *frame, __u32 offset, __u32 number)
{
	number = bpf_htonl(number);
	__builtin_memcpy(&frame->data[offset & (FRAME_SIZE / 2 - 1)], &number, sizeof(number));
}

SEC("xdp")
int make_segment(struct xdp_md *ctx)
{
	struct frame *frame;
	__u32 zero = 0;
	__u32 number;

	frame = bpf_map_lookup_elem(&frame_map, &zero);
	if (!frame)
		return XDP_ABORTED;
	number = frame->count++ * frame->mask;
	store_number(frame, frame->offset, number);
	store_number(frame, frame->complement, ~number);
	return write_frame(ctx, frame) ? XDP_ABORTED : bpf_redirect(frame->device, 0);
}

struct srh {
	__u8 head[8];
	__u8 segments[2][16];
};

/* The path fd02::77, fd03::9. */
static const struct srh path = {
	{ 0, 4, 4, 1, 1 },
	{ { 0xfd, 3, [15] = 9 }, { 0xfd, 2, [15] = 0x77 } },
};

SEC("lwt_seg6local")
int nothing(struct __sk_buff *skb)
{
	return BPF_OK;
}

SEC("lwt_seg6local")
int tag(struct __sk_buff *skb)
{
	__be16 value;

	if (bpf_skb_load_bytes(skb, TAG_OFFSET, &value, sizeof(value)))
		return BPF_DROP;
	value = bpf_htons(bpf_ntohs(value) + 1);
	if (bpf_lwt_seg6_store_bytes(skb, TAG_OFFSET, &value, sizeof(value)))
		return BPF_DROP;
	return BPF_OK;
}

SEC("lwt_seg6local")
int flags(struct __sk_buff *skb)
{
	__u8 value = 0x40;

	if (bpf_lwt_seg6_store_bytes(skb, FLAGS_OFFSET, &value, sizeof(value)))
		return BPF_DROP;
	return BPF_OK;
}

SEC("lwt_seg6local")
int tlv_8(struct __sk_buff *skb)
{
	__u8 tlv[8] = { 124, 6 };

	if (bpf_lwt_seg6_adjust_srh(skb, TLVS_OFFSET, sizeof(tlv)))
		return BPF_DROP;
	return bpf_lwt_seg6_store_bytes(skb, TLVS_OFFSET, tlv, sizeof(tlv)) ? BPF_DROP : BPF_OK;
}

SEC("lwt_seg6local")
int tlvs_24(struct __sk_buff *skb)
{
	__u8 tlvs[24] = { 124, 14, [16] = 125, 6 };

	if (bpf_lwt_seg6_adjust_srh(skb, TLVS_OFFSET, sizeof(tlvs)))
		return BPF_DROP;
	return bpf_lwt_seg6_store_bytes(skb, TLVS_OFFSET, tlvs, sizeof(tlvs)) ? BPF_DROP : BPF_OK;
}

SEC("lwt_seg6local")
int end_x(struct __sk_buff *skb)
{
	__u8 next_hop[16] = { 0xfd, 3, [15] = 1 };

	if (bpf_lwt_seg6_action(skb, SEG6_LOCAL_ACTION_END_X, next_hop, sizeof(next_hop)))
		return BPF_DROP;
	return BPF_REDIRECT;
}

SEC("lwt_seg6local")
int end_t(struct __sk_buff *skb)
{
	__u32 table = 100;

	if (bpf_lwt_seg6_action(skb, SEG6_LOCAL_ACTION_END_T, &table, sizeof(table)))
		return BPF_DROP;
	return BPF_REDIRECT;
}

SEC("lwt_seg6local")
int end_dt6(struct __sk_buff *skb)
{
	__u32 table = 100;

	if (bpf_lwt_seg6_action(skb, SEG6_LOCAL_ACTION_END_DT6, &table, sizeof(table)))
		return BPF_DROP;
	return BPF_REDIRECT;
}

SEC("lwt_seg6local")
int end_b6(struct __sk_buff *skb)
{
	struct srh header = path;

	if (bpf_lwt_seg6_action(skb, SEG6_LOCAL_ACTION_END_B6, &header, sizeof(header)))
		return BPF_DROP;
	return BPF_REDIRECT;
}

SEC("lwt_seg6local")
int end_b6_encaps(struct __sk_buff *skb)
{
	struct srh header = path;

	if (bpf_lwt_seg6_action(skb, SEG6_LOCAL_ACTION_END_B6_ENCAP, &header, sizeof(header)))
		return BPF_DROP;
	return BPF_REDIRECT;
}

/* BPF_LWT_REROUTE has the route looked up, with BPF_OK it is the one that the helper has found. */
static __always_inline int push(struct __sk_buff *skb, __u32 type, int verdict)
{
	struct srh header = path;

	return bpf_lwt_push_encap(skb, type, &header, sizeof(header)) ? BPF_DROP : verdict;
}

SEC("lwt_in")
int push_encaps(struct __sk_buff *skb)
{
	return push(skb, BPF_LWT_ENCAP_SEG6, BPF_LWT_REROUTE);
}

SEC("lwt_in")
int push_inline(struct __sk_buff *skb)
{
	return push(skb, BPF_LWT_ENCAP_SEG6_INLINE, BPF_LWT_REROUTE);
}

SEC("lwt_in")
int push_encaps_ok(struct __sk_buff *skb)
{
	return push(skb, BPF_LWT_ENCAP_SEG6, BPF_OK);
}

SEC("lwt_in")
int push_inline_ok(struct __sk_buff *skb)
{
	return push(skb, BPF_LWT_ENCAP_SEG6_INLINE, BPF_OK);
}

char _license[] SEC("license") = "GPL";
