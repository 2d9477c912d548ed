// SPDX-License-Identifier: GPL-2.0-or-later
/* Random calls of helpers, with hostile arguments, for progs/script.bpf.c. */
#include <linux/bpf.h>
#include <linux/seg6_local.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "blast.h"
#include "progs/script.h"

#define HMAC_LEN	40
#define MAX_SEGMENTS	7

/* Where things are in the packet that the program sees. */
struct places {
	__u32 srh;
	__u32 tlvs;
	__u32 end;
	__u32 len;
};

static const __u32 hostile[] = {
	0, 1, 2, 7, 8, 39, 40, 41, 48, 255, 256, 2040, 2047, 2048, 2049, 0x7fff, 0xffff, 0x10000,
	0x7fffffff, 0x80000000, 0x80000001, 0xfffffff8, 0xffffffff,
};

static void random_address(struct rng *rng, const struct seeds *seeds, __u8 *address)
{
	memcpy(address, seeds->address[rng_below(rng, seeds->addresses)], 16);
	if (rng_chance(rng, 2))
		address[rng_below(rng, 16)] = rng_next(rng);
}

static size_t add_tlv(struct rng *rng, __u8 *tlv, __u8 type, size_t len)
{
	rng_fill(rng, tlv, len);
	tlv[0] = type;
	tlv[1] = len - 2;
	return len;
}

/* An SRH that is mostly valid, of at most 8 + 16 * 7 + 2 * 64 + 40 bytes; returns its length. */
size_t make_srh(struct rng *rng, const struct seeds *seeds, __u8 *srh)
{
	int segments = 1 + rng_below(rng, MAX_SEGMENTS);
	size_t len = SRH_LEN;

	memset(srh, 0, SRH_LEN);
	for (int i = 0; i < segments; i++, len += 16)
		random_address(rng, seeds, srh + len);
	while (rng_chance(rng, 20) && len < SRH_LEN + 16 * MAX_SEGMENTS + 64)
		len += add_tlv(rng, srh + len, 200, 8 * (1 + rng_below(rng, 8)));
	if (rng_chance(rng, 5)) {
		srh[5] = 8;
		len += add_tlv(rng, srh + len, 5, HMAC_LEN);
		memset(srh + len - HMAC_LEN + 2, 0, 6);
		srh[len - HMAC_LEN + 7] = 1 + rng_below(rng, 3);
	}
	srh[1] = len / 8 - 1;
	srh[2] = 4;
	srh[3] = rng_below(rng, segments);
	srh[4] = segments - 1;
	if (rng_chance(rng, 10))
		srh[rng_below(rng, len)] = rng_next(rng);
	return len;
}

static __u32 random_offset(struct rng *rng, const struct places *places)
{
	const __u32 near[] = {
		places->srh, places->srh + 1, places->srh + 3, places->srh + 4, places->srh + 5,
		places->srh + 6, places->srh + 7, places->srh + 8, places->tlvs - 8,
		places->tlvs - 1, places->tlvs, places->tlvs, places->tlvs, places->tlvs,
		places->tlvs + 1, places->tlvs + 2, places->tlvs + 8, places->end - 16,
		places->end - 8, places->end - 1, places->end, places->end, places->end + 1,
		places->end + 8, places->len - 1, places->len, places->len + 1,
	};

	if (rng_chance(rng, 12))
		return rng_pick(rng, hostile);
	if (rng_chance(rng, 8))
		return rng_below(rng, 2200);
	return rng_pick(rng, near);
}

static void make_store_bytes(struct rng *rng, const struct places *places, struct op *op,
			     __u8 *data)
{
	static const __u8 lens[] = { 1, 1, 2, 2, 3, 8, 8, 8, 16, 24, 40, 255 };

	op->call = CALL_STORE_BYTES;
	op->a = random_offset(rng, places);
	op->len = rng_chance(rng, 3) ? 2048 - rng_below(rng, 2) : rng_pick(rng, lens);
	rng_fill(rng, data, op->len);
	if (op->len > 1 && rng_chance(rng, 60)) {
		data[0] = 4;
		data[1] = op->len < 257 ? op->len - 2 : 255;
	}
}

static void make_adjust_srh(struct rng *rng, const struct places *places, struct op *op)
{
	static const __s32 deltas[] = {
		8, 8, 8, 8, 16, 24, 40, 64, -8, -8, -8, -16, 0, 1, 2, 4, -1, -2, -4, 1000, 1992,
		2040, 2048, -2048,
	};

	op->call = CALL_ADJUST_SRH;
	op->a = random_offset(rng, places);
	op->b = rng_chance(rng, 15) ? rng_pick(rng, hostile) : (__u32)rng_pick(rng, deltas);
	if (rng_chance(rng, 5))
		op->b = places->tlvs - places->end;
}

static void make_action(struct rng *rng, const struct seeds *seeds, struct op *op, __u8 *data)
{
	static const __u32 tables[] = { 0, 254, 254, 255, 100, 100, 200, 201, 77, 0xffffffff };
	static const __u32 actions[] = {
		SEG6_LOCAL_ACTION_END_X, SEG6_LOCAL_ACTION_END_T, SEG6_LOCAL_ACTION_END_DT6,
		SEG6_LOCAL_ACTION_END_B6, SEG6_LOCAL_ACTION_END_B6_ENCAP,
	};
	__u32 table = rng_pick(rng, tables);

	op->call = CALL_ACTION;
	op->a = rng_chance(rng, 95) ? rng_pick(rng, actions) : rng_pick(rng, hostile);
	switch (op->a) {
	case SEG6_LOCAL_ACTION_END_X:
		random_address(rng, seeds, data);
		op->len = 16;
		break;
	case SEG6_LOCAL_ACTION_END_B6:
	case SEG6_LOCAL_ACTION_END_B6_ENCAP:
		op->len = make_srh(rng, seeds, data);
		break;
	default:
		memcpy(data, &table, sizeof(table));
		op->len = sizeof(table);
	}
	if (rng_chance(rng, 5))
		op->len = 1 + rng_below(rng, 64);
}

static void make_push_encap(struct rng *rng, const struct seeds *seeds, struct op *op,
			    __u8 *data)
{
	op->call = CALL_PUSH_ENCAP;
	op->a = rng_chance(rng, 95) ? rng_below(rng, 2) : 3 + rng_below(rng, 100);
	op->len = make_srh(rng, seeds, data);
	if (rng_chance(rng, 5))
		op->len = 1 + rng_below(rng, 64);
}

static struct places find_places(const struct packet *packet)
{
	struct places places = { IP6_LEN, IP6_LEN + 24, IP6_LEN + 24, packet->len };
	const struct header *srh;
	struct chain chain;

	walk(packet->data, packet->len, &chain);
	srh = find_srh(packet->data, &chain, true);
	if (srh) {
		places.srh = srh->offset;
		places.tlvs = srh->offset + SRH_LEN + 16 * (packet->data[srh->offset + 4] + 1);
		places.end = srh->offset + srh->len;
	}
	return places;
}

/* Keeps what is known of the SRH right after a call that should succeed. */
static void follow(struct rng *rng, const struct op *op, struct places *places)
{
	if (op->call == CALL_ADJUST_SRH && op->a >= places->tlvs && op->a <= places->end &&
	    places->end - places->srh + op->b <= MAX_LEN)
		places->end += op->b;
	else if (op->call == CALL_ACTION && rng_chance(rng, 50))
		*places = (struct places){ IP6_LEN, IP6_LEN + 40, IP6_LEN + 40, places->len };
}

/* Sets call `index`, with its data at data[at]. */
static void make_op(struct rng *rng, const struct seeds *seeds, struct places *places,
		    bool is_lwt_in, struct script *script, int index)
{
	size_t at = 64 * index % MAX_LEN;
	struct op *op = &script->ops[index];
	__u8 *data = script->data + at;
	__u32 kind = rng_below(rng, 10);

	op->data = at;
	if (is_lwt_in)
		make_push_encap(rng, seeds, op, data);
	else if (kind < 3)
		make_store_bytes(rng, places, op, data);
	else if (kind < 7)
		make_adjust_srh(rng, places, op);
	else
		make_action(rng, seeds, op, data);
	follow(rng, op, places);
}

static void make_verdict(struct rng *rng, struct script *script, int run)
{
	static const __u32 verdicts[] = {
		BPF_OK, BPF_OK, BPF_OK, BPF_OK, BPF_OK, BPF_REDIRECT, BPF_REDIRECT, BPF_REDIRECT,
		BPF_LWT_REROUTE, BPF_DROP, 1, 0xffffffff,
	};

	script->verdict[run] = rng_pick(rng, verdicts);
}

static int count_ops(const struct script *script)
{
	int count = 0;

	while (count < MAX_OPS && script->ops[count].call != CALL_NONE)
		count++;
	return count;
}

static void vary_op(struct rng *rng, struct script *script, struct op *op)
{
	struct op *last = &script->ops[MAX_OPS - 1];

	switch (rng_below(rng, 3)) {
	case 0:
		memmove(op, op + 1, (last - op) * sizeof(*op));
		memset(last, 0, sizeof(*last));
		break;
	case 1:
		op->a += rng_below(rng, 17) - 8;
		break;
	default:
		script->data[(op->data + rng_below(rng, 48)) % MAX_LEN] = rng_next(rng);
	}
}

/* Makes some changes of a script that was kept, or none. */
static void vary_script(struct rng *rng, const struct seeds *seeds, struct places *places,
			bool is_lwt_in, struct script *script)
{
	for (int i = rng_below(rng, 4); i; i--) {
		int count = count_ops(script);
		int index = rng_below(rng, count + 1);

		if (rng_chance(rng, 15))
			make_verdict(rng, script, rng_below(rng, MAX_RUNS));
		else if (index < MAX_OPS && rng_chance(rng, 40))
			make_op(rng, seeds, places, is_lwt_in, script, index);
		else if (index < count)
			vary_op(rng, script, &script->ops[index]);
	}
}

/* Sets the calls for packets like this one. */
static void compose_script(struct rng *rng, const struct seeds *seeds, struct places *places,
			   bool is_lwt_in, struct script *script)
{
	static const __u8 counts[] = { 1, 1, 2, 2, 3, 4, 6, 10, MAX_OPS };
	int count = rng_pick(rng, counts);

	memset(script, 0, sizeof(*script));
	script->ops_of_run = EVERY_RUN;
	for (int i = 0; i < MAX_RUNS; i++)
		make_verdict(rng, script, i);
	for (int i = 0; i < count; i++)
		make_op(rng, seeds, places, is_lwt_in, script, i);
}

/* What is known of the packets that come out after these calls. */
static enum checks checks_of(const struct script *script, bool is_lwt_in)
{
	enum checks checks = is_lwt_in ? CHECK_PATH : CHECK_LIST;

	for (int i = 0; i < count_ops(script); i++) {
		const struct op *op = &script->ops[i];

		if (op->call != CALL_ACTION)
			continue;
		if (op->a == SEG6_LOCAL_ACTION_END_DT6)
			return CHECK_IP;
		if (op->a == SEG6_LOCAL_ACTION_END_B6 || op->a == SEG6_LOCAL_ACTION_END_B6_ENCAP)
			checks = CHECK_PATH;
	}
	return checks;
}

/* Makes a script for packets like this one; returns what is known of those that come out. */
enum checks make_script(struct rng *rng, const struct seeds *seeds, const struct packet *packet,
			bool is_lwt_in, struct script *script)
{
	struct places places = find_places(packet);

	if (guide_script(rng, script))
		vary_script(rng, seeds, &places, is_lwt_in, script);
	else
		compose_script(rng, seeds, &places, is_lwt_in, script);
	return checks_of(script, is_lwt_in);
}

static int bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* Sets the only element of the array map `map`. */
int load_script(int map, struct script *script)
{
	union bpf_attr attr;
	__u32 key = 0;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = map;
	attr.key = (uintptr_t)&key;
	attr.value = (uintptr_t)script;
	return bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

/* Runs the program on a frame, outside of any route. */
int test_run(int program, const __u8 *frame, size_t len)
{
	static __u8 out[2 * MAX_PACKET];
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = program;
	attr.test.data_in = (uintptr_t)frame;
	attr.test.data_size_in = len;
	attr.test.data_out = (uintptr_t)out;
	attr.test.data_size_out = sizeof(out);
	attr.test.repeat = 1;
	return bpf(BPF_PROG_TEST_RUN, &attr);
}
