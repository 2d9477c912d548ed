// SPDX-License-Identifier: GPL-2.0-or-later
/* Random numbers, and the headers of IPv6 packets. */
#include <string.h>

#include "blast.h"

/* The same numbers for the same seed and number of a packet, whatever was made before. */
struct rng rng_new(__u64 seed, __u64 number)
{
	__u64 mixed = seed + (number + 1) * 0x9e3779b97f4a7c15;

	mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
	mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
	return (struct rng){ mixed ^ mixed >> 31 ?: 1 };
}

__u32 rng_next(struct rng *rng)
{
	rng->state ^= rng->state >> 12;
	rng->state ^= rng->state << 25;
	rng->state ^= rng->state >> 27;
	return rng->state * 0x2545f4914f6cdd1d >> 32;
}

__u32 rng_below(struct rng *rng, __u32 bound)
{
	return (__u64)rng_next(rng) * bound >> 32;
}

bool rng_chance(struct rng *rng, __u32 percent)
{
	return rng_below(rng, 100) < percent;
}

void rng_fill(struct rng *rng, void *data, size_t len)
{
	__u8 *at = data;

	while (len--)
		*at++ = rng_next(rng);
}

__u16 get16(const __u8 *at)
{
	return at[0] << 8 | at[1];
}

void put16(__u8 *at, __u16 value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static bool is_extension(__u8 number)
{
	switch (number) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_FRAGMENT:
	case IPPROTO_AH:
	case IPPROTO_DSTOPTS:
		return true;
	}
	return false;
}

static size_t header_len(__u8 number, const __u8 *header)
{
	switch (number) {
	case IPPROTO_FRAGMENT:
		return 8;
	case IPPROTO_AH:
		return (header[1] + 2) * 4;
	}
	return (header[1] + 1) * 8;
}

/*
 * Finds the extension headers of a packet of at least 40 bytes. The walk ends behind a fragment
 * header with an offset, and in front of a header of which not even the length is there; one that
 * is there in part is the last.
 */
void walk(const __u8 *data, size_t len, struct chain *chain)
{
	chain->count = 0;
	chain->end = IP6_LEN;
	chain->announced = 6;
	chain->number = data[6];
	chain->is_cut = false;
	while (is_extension(chain->number) && chain->count < MAX_HEADERS && chain->end + 8 <= len) {
		const __u8 *at = data + chain->end;
		struct header *header = &chain->headers[chain->count++];

		header->number = chain->number;
		header->offset = chain->end;
		header->len = header_len(chain->number, at);
		chain->is_cut = header->len > len - chain->end;
		if (chain->is_cut)
			header->len = len - chain->end;
		chain->announced = chain->end;
		chain->number = at[0];
		chain->end += header->len;
		if (header->number == IPPROTO_FRAGMENT && get16(at + 2) & ~7)
			break;
	}
}

/* The first routing header, or the first one with segments left; NULL if there is none. */
const struct header *find_srh(const __u8 *data, const struct chain *chain, bool active)
{
	for (int i = 0; i < chain->count; i++) {
		const struct header *header = &chain->headers[i];

		if (header->number == IPPROTO_ROUTING && (!active || data[header->offset + 3]))
			return header;
	}
	return NULL;
}

/* Whether TLVs fill the room; type 0, Pad1, is one octet (RFC 8754, Section 2.1.1.1). */
static bool tlvs_fill(const __u8 *tlvs, size_t len)
{
	while (len) {
		size_t size = 1;

		if (tlvs[0]) {
			if (len < 2)
				return false;
			size = 2 + tlvs[1];
		}
		if (size > len)
			return false;
		tlvs += size;
		len -= size;
	}
	return true;
}

/*
 * Whether there is a valid SRH (RFC 8754, Section 2) of that length: the segment list is inside,
 * there are at most as many segments left as it has entries, one more if it is a reduced one, and
 * TLVs fill the rest exactly.
 */
bool is_valid_srh(const __u8 *srh, size_t len)
{
	size_t at;

	if (len < SRH_LEN || (srh[1] + 1) * 8u != len || srh[2] != 4)
		return false;
	at = SRH_LEN + 16 * (srh[4] + 1);
	if (at > len || srh[3] > srh[4] + 1)
		return false;
	return tlvs_fill(srh + at, len - at);
}
