// SPDX-License-Identifier: GPL-2.0-or-later
/* Random changes of packets. Each leaves a packet of at least 40 bytes. */
#include <string.h>

#include "blast.h"

#define MAX_MUTATED	9000	/* bytes, so that it fits into the device with what is pushed */
#define MAX_OPTIONS	64

static const __u8 numbers[] = {
	IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_ROUTING, IPPROTO_FRAGMENT, IPPROTO_AH,
	IPPROTO_DSTOPTS, IPPROTO_IPV6, IPPROTO_IPIP, 143, IPPROTO_UDP, IPPROTO_TCP,
	IPPROTO_ICMPV6, IPPROTO_NONE, IPPROTO_ESP, 135, 255,
};

static const __u8 extremes[] = { 0, 1, 2, 3, 4, 7, 8, 14, 15, 16, 127, 128, 254, 255 };

static void insert(struct packet *packet, size_t at, const void *data, size_t len)
{
	if (packet->len + len > MAX_MUTATED)
		return;
	memmove(packet->data + at + len, packet->data + at, packet->len - at);
	memcpy(packet->data + at, data, len);
	packet->len += len;
}

static void delete(struct packet *packet, size_t at, size_t len)
{
	memmove(packet->data + at, packet->data + at + len, packet->len - at - len);
	packet->len -= len;
}

/* A random place, mostly in the headers; at most the length of the packet. */
static size_t place(struct rng *rng, const struct packet *packet, size_t first)
{
	size_t end = packet->len;

	if (rng_chance(rng, 80) && end > 160)
		end = 160;
	return end > first ? first + rng_below(rng, end - first) : packet->len;
}

static void flip(struct rng *rng, const struct seeds *seeds, struct packet *packet)
{
	size_t at = place(rng, packet, 0);

	if (at < packet->len)
		packet->data[at] ^= 1 << rng_below(rng, 8);
}

static void overwrite(struct rng *rng, const struct seeds *seeds, struct packet *packet)
{
	size_t at = place(rng, packet, IP6_LEN);

	if (at < packet->len)
		packet->data[at] = rng_pick(rng, extremes);
}

/* One field of a routing header. */
static void set_field(struct rng *rng, const struct seeds *seeds, struct packet *packet)
{
	const struct header *srh;
	struct chain chain;
	__u8 *field;

	walk(packet->data, packet->len, &chain);
	srh = find_srh(packet->data, &chain, rng_chance(rng, 70));
	if (!srh)
		return;
	field = packet->data + srh->offset + rng_below(rng, 8);
	switch (rng_below(rng, 4)) {
	case 0:
		*field = rng_pick(rng, extremes);
		break;
	case 1:
		*field += 1;
		break;
	case 2:
		*field -= 1;
		break;
	default:
		*field = rng_next(rng);
	}
}

/* Some bytes of what should be TLVs, or a byte of the segments if there are none. */
static void set_tlvs(struct rng *rng, const struct seeds *seeds, struct packet *packet)
{
	const struct header *srh;
	struct chain chain;
	size_t at;

	walk(packet->data, packet->len, &chain);
	srh = find_srh(packet->data, &chain, true);
	if (!srh || srh->len <= SRH_LEN)
		return;
	at = SRH_LEN + 16 * (packet->data[srh->offset + 4] + 1);
	if (at >= srh->len)
		at = SRH_LEN;
	at += srh->offset + rng_below(rng, srh->len - at);
	packet->data[at] = rng_chance(rng, 50) ? rng_pick(rng, extremes) : rng_below(rng, 48);
}

/* TLVs behind the segment list, of a length that may fit; the header length follows mostly. */
static void add_tlvs(struct rng *rng, const struct seeds *seeds, struct packet *packet)
{
	__u8 tlvs[MAX_OPTIONS];
	size_t len = 1 + rng_below(rng, MAX_OPTIONS);
	const struct header *srh;
	struct chain chain;

	walk(packet->data, packet->len, &chain);
	srh = find_srh(packet->data, &chain, true);
	if (!srh)
		return;
	if (rng_chance(rng, 80))
		len = (len + 7) & ~7;
	rng_fill(rng, tlvs, len);
	tlvs[0] = rng_chance(rng, 20) ? 0 : 4 + rng_below(rng, 2);
	if (len > 1 && rng_chance(rng, 80))
		tlvs[1] = len - 2;
	if (rng_chance(rng, 80))
		packet->data[srh->offset + 1] += len / 8;
	insert(packet, srh->offset + srh->len, tlvs, len);
}

/* A new extension header somewhere in the chain. */
static void add_header(struct rng *rng, const struct seeds *seeds, struct packet *packet)
{
	__u8 data[2056] = {};
	__u8 number = rng_pick(rng, numbers);
	size_t len = 8;
	struct chain chain;
	size_t at, announced;
	int before;

	walk(packet->data, packet->len, &chain);
	before = rng_below(rng, chain.count + 1);
	at = before < chain.count ? chain.headers[before].offset : chain.end;
	announced = before ? chain.headers[before - 1].offset : 6;
	if (number == IPPROTO_ROUTING && rng_chance(rng, 70)) {
		len = make_srh(rng, seeds, data);
	} else {
		if (rng_chance(rng, 30))
			data[1] = rng_below(rng, rng_chance(rng, 20) ? 256 : 8);
		len = number == IPPROTO_AH ? (data[1] + 2) * 4 : (data[1] + 1) * 8;
		if (number == IPPROTO_FRAGMENT)
			len = 8;
		data[2] = rng_chance(rng, 70) ? 1 : rng_next(rng);
		if (data[1] && number != IPPROTO_FRAGMENT)
			data[3] = len > 259 ? 255 : len - 4;
		if (number == IPPROTO_FRAGMENT && rng_chance(rng, 60)) {
			data[2] = 0;
			data[3] = rng_below(rng, 2);	/* the first of many, or the only one */
		}
	}
	data[0] = packet->data[announced];
	if (packet->len + len > MAX_MUTATED)
		return;
	packet->data[announced] = number;
	insert(packet, at, data, len);
}

static void remove_header(struct rng *rng, const struct seeds *seeds, struct packet *packet)
{
	const struct header *header;
	struct chain chain;
	int index;

	walk(packet->data, packet->len, &chain);
	if (!chain.count)
		return;
	index = rng_below(rng, chain.count);
	header = &chain.headers[index];
	packet->data[index ? header[-1].offset : 6] = packet->data[header->offset];
	delete(packet, header->offset, header->len);
}

/* Something else is said to be behind one of the headers. */
static void announce(struct rng *rng, const struct seeds *seeds, struct packet *packet)
{
	struct chain chain;

	walk(packet->data, packet->len, &chain);
	packet->data[chain.announced] = rng_pick(rng, numbers);
}

static void cut(struct rng *rng, const struct seeds *seeds, struct packet *packet)
{
	packet->len = IP6_LEN + rng_below(rng, packet->len - IP6_LEN + 1);
}

static void grow(struct rng *rng, const struct seeds *seeds, struct packet *packet)
{
	size_t len = rng_chance(rng, 30) ? rng_below(rng, 4000) : rng_below(rng, 100);

	if (packet->len + len > MAX_MUTATED)
		return;
	rng_fill(rng, packet->data + packet->len, len);
	packet->len += len;
}

static void drop_bytes(struct rng *rng, const struct seeds *seeds, struct packet *packet)
{
	size_t at = place(rng, packet, IP6_LEN);
	size_t len = 1 + rng_below(rng, 16);

	if (at < packet->len)
		delete(packet, at, len < packet->len - at ? len : packet->len - at);
}

static void repeat_bytes(struct rng *rng, const struct seeds *seeds, struct packet *packet)
{
	size_t at = place(rng, packet, IP6_LEN);
	__u8 data[MAX_OPTIONS];
	size_t len = 1 + rng_below(rng, MAX_OPTIONS);

	if (len > packet->len - at)
		return;
	memcpy(data, packet->data + at, len);
	insert(packet, at, data, len);
}

/* The headers of this packet in front of another, or of what another one carries. */
static void carry(struct rng *rng, const struct seeds *seeds, struct packet *packet)
{
	const struct packet *other = seeds->packet[rng_below(rng, seeds->packets)];
	struct chain chain, others;
	size_t from = 0;

	walk(packet->data, packet->len, &chain);
	walk(other->data, other->len, &others);
	packet->data[chain.announced] = IPPROTO_IPV6;
	if (rng_chance(rng, 60)) {
		from = others.end;
		packet->data[chain.announced] = others.number;
	}
	packet->len = chain.end;
	insert(packet, chain.end, other->data + from, other->len - from);
}

/* The inner packet says that it has another version or length. */
static void set_inner(struct rng *rng, const struct seeds *seeds, struct packet *packet)
{
	struct chain chain;
	size_t at;

	walk(packet->data, packet->len, &chain);
	if (packet->len - chain.end < 8)
		return;
	at = chain.end + rng_below(rng, 8);
	packet->data[at] = rng_chance(rng, 50) ? rng_pick(rng, extremes) : rng_next(rng);
}

/* Makes some changes, or none. */
void mutate(struct rng *rng, const struct seeds *seeds, struct packet *packet)
{
	static void (*const changes[])(struct rng *, const struct seeds *, struct packet *) = {
		flip, flip, overwrite, set_field, set_field, set_tlvs, add_tlvs, add_header,
		add_header, remove_header, announce, cut, grow, drop_bytes, repeat_bytes, carry,
		set_inner,
	};
	static const __u8 counts[] = { 0, 1, 1, 1, 1, 2, 2, 3, 5, 9 };

	for (int i = rng_pick(rng, counts); i; i--)
		rng_pick(rng, changes)(rng, seeds, packet);
}

/*
 * Makes a packet that the receiving kernel passes on to the SID at `destination`, with `label` for
 * a flow label. A payload length that is too short cuts the packet; one that is too long is rare,
 * as it gets the packet dropped at once. Nobody cuts a packet of length 0 whose first header is of
 * hop-by-hop options, as it might be a jumbogram.
 */
void settle(struct rng *rng, struct packet *packet, const __u8 *destination, __u32 label)
{
	__u8 *ip = packet->data;
	size_t len = packet->len - IP6_LEN;

	ip[0] = 0x60 | (ip[0] & 15);
	ip[1] = (ip[1] & 0xf0) | label >> 16;
	put16(ip + 2, label);
	memcpy(ip + 24, destination, 16);
	if (ip[7] < 2 && rng_chance(rng, 90))
		ip[7] = 64;
	if (rng_chance(rng, 4))
		len = rng_below(rng, len + 1);
	else if (rng_chance(rng, 1))
		len += 1 + rng_below(rng, 64);
	if (!len && !ip[6])
		ip[6] = IPPROTO_NONE;
	put16(ip + 4, len);
}
