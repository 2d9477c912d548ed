// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What has to hold for every packet that the router sends, however broken the packets are that it
 * gets and whatever a program does to them. All of them went to a SID, so nothing here is a packet
 * that the kernel would have forwarded anyway.
 *
 * CHECK_FRAME, of End.DX2: a frame of at least 14 bytes.
 *
 * CHECK_IP, of behaviors and programs that decapsulate: what is inside belongs to the sender,
 * except for the header that the router routes by.
 *   - The type is IPv4 or IPv6, and so is the version.
 *   - The packet is at least as long as its header says: 40 and the payload length, or the total
 *     length, which is at least that of the IPv4 header. (It may be longer: bytes behind the end
 *     came from the sender. A router sends them on.)
 *   - An IPv6 header that the router itself has pushed, known by its source address, says exactly
 *     how long the packet is, and a valid SRH is behind it.
 *
 * CHECK_PATH, of all others: the packet is on its way through segments.
 *   - It is IPv6, and exactly as long as its header says.
 *   - Each routing header is a valid SRH, or is in the packet that was sent in just that form (from
 *     its second byte on): the router passes over those that have no segments left, or are behind
 *     the active one, without looking at them.
 *   - Behind headers that the router has pushed is IPv6, for which the same holds.
 *   - Behind the last extension header are the same bytes as in the packet that was sent, unless
 *     the kernel was asked to fill a checksum in or to cut the packet into segments.
 * The last three hold for packets that are known to come from one that was sent: by their flow
 * label. ICMPv6 errors and reports of the router have another one.
 *
 * CHECK_LIST, of behaviors and programs that add no SRH: the same, and each valid SRH has the
 * segment list of one in the packet that was sent, and no more segments left: the next segment may
 * be a SID of this router again.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <string.h>

#include "blast.h"

static const __u8 tunnel_src[16] = TUNNEL_SRC;

static bool is_pushed(const __u8 *ip)
{
	return !memcmp(ip + 8, tunnel_src, sizeof(tunnel_src));
}

static size_t stated_len(const __u8 *ip)
{
	return IP6_LEN + get16(ip + 4);
}

/* Whether a routing header is in the packet that was sent. */
static bool was_sent(const struct packet *in, const __u8 *header, size_t len)
{
	struct chain chain;

	walk(in->data, in->len, &chain);
	for (int i = 0; i < chain.count; i++) {
		const struct header *sent = &chain.headers[i];

		if (sent->number == IPPROTO_ROUTING && sent->len == len &&
		    !memcmp(in->data + sent->offset + 1, header + 1, len - 1))
			return true;
	}
	return false;
}

/* Whether an SRH that is valid leads along the path of one in the packet that was sent. */
static bool has_list_of(const struct packet *in, const __u8 *srh)
{
	size_t end = SRH_LEN + 16 * (srh[4] + 1);
	struct chain chain;

	walk(in->data, in->len, &chain);
	for (int i = 0; i < chain.count; i++) {
		const struct header *sent = &chain.headers[i];
		const __u8 *at = in->data + sent->offset;

		if (sent->number == IPPROTO_ROUTING && sent->len >= end && srh[4] == at[4] &&
		    srh[3] <= at[3] && !memcmp(at + SRH_LEN, srh + SRH_LEN, end - SRH_LEN))
			return true;
	}
	return false;
}

static const char *find_bad_srh(enum checks checks, const struct packet *in, const __u8 *ip,
				const struct chain *chain)
{
	for (int i = 0; i < chain->count; i++) {
		const struct header *header = &chain->headers[i];
		const __u8 *at = ip + header->offset;

		if (header->number != IPPROTO_ROUTING || was_sent(in, at, header->len))
			continue;
		if (!is_valid_srh(at, header->len))
			return "an SRH that is not valid";
		if (checks == CHECK_LIST && !has_list_of(in, at))
			return "another segment list";
	}
	return NULL;
}

static bool has_payload_of(const struct packet *in, const __u8 *payload, size_t len)
{
	struct chain chain;

	walk(in->data, in->len, &chain);
	return in->len - chain.end == len && !memcmp(in->data + chain.end, payload, len);
}

/* The packet `in` ends where it says. */
static const char *find_path_fault(enum checks checks, const struct packet *in, bool is_plain,
				   const __u8 *ip, size_t len)
{
	struct chain chain;
	const char *fault;

	for (;;) {
		if (len < IP6_LEN || ip[0] >> 4 != 6)
			return "no IPv6 header";
		if (stated_len(ip) != len)
			return "a wrong payload length";
		walk(ip, len, &chain);
		fault = in ? find_bad_srh(checks, in, ip, &chain) : NULL;
		if (fault || !is_pushed(ip))
			break;
		if (chain.number != IPPROTO_IPV6)
			return "no IPv6 packet behind what was pushed";
		ip += chain.end;
		len -= chain.end;
	}
	if (!fault && in && is_plain && !has_payload_of(in, ip + chain.end, len - chain.end))
		return "another payload";
	return fault;
}

static const char *find_ipv4_fault(const __u8 *ip, size_t len)
{
	size_t header_len = (ip[0] & 15) * 4;
	size_t total_len = get16(ip + 2);

	if (len < 20 || ip[0] >> 4 != 4)
		return "no IPv4 header";
	if (header_len < 20 || header_len > total_len || total_len > len)
		return "wrong lengths in the IPv4 header";
	return NULL;
}

static const char *find_ipv6_fault(const __u8 *ip, size_t len)
{
	const struct header *srh;
	struct chain chain;

	if (len < IP6_LEN || ip[0] >> 4 != 6)
		return "no IPv6 header";
	if (stated_len(ip) > len)
		return "a payload length that is too long";
	if (!is_pushed(ip))
		return NULL;
	if (stated_len(ip) != len)
		return "a wrong payload length";
	walk(ip, len, &chain);
	srh = find_srh(ip, &chain, false);
	return srh && is_valid_srh(ip + srh->offset, srh->len) ? NULL : "an SRH that is not valid";
}

/*
 * What is wrong with a frame that came out for the packet `in`, or for one that is not known if
 * that is NULL; NULL if it is right. `is_plain`: no checksum or segmentation was asked for.
 */
const char *find_fault(enum checks checks, const struct packet *in, bool is_plain,
		       const __u8 *frame, size_t len)
{
	__u16 type;

	if (len < ETH_LEN)
		return "no Ethernet header";
	if (checks == CHECK_FRAME)
		return NULL;
	type = get16(frame + ETH_LEN - 2);
	frame += ETH_LEN;
	len -= ETH_LEN;
	if (type == ETH_P_IPV6 && checks >= CHECK_PATH)
		return find_path_fault(checks, in, is_plain, frame, len);
	if (type == ETH_P_IPV6)
		return find_ipv6_fault(frame, len);
	if (type == ETH_P_IP && checks == CHECK_IP)
		return find_ipv4_fault(frame, len);
	return "a frame that is not IP";
}
