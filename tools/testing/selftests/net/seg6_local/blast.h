/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random packets and random scripts, made, sent and checked without Python: see blast.c. */
#ifndef BLAST_H
#define BLAST_H

#include <linux/types.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ETH_LEN		14
#define IP6_LEN		40
#define SRH_LEN		8
#define MAX_PACKET	65536
#define MAX_SEEDS	256
#define MAX_HEADERS	(MAX_PACKET / 8)

/* The source address of every packet that the router pushes headers onto, and of no other. */
#define TUNNEL_SRC	{ 0xfd, 0xff, 0, 7, [15] = 1 }

struct rng {
	__u64 state;
};

/* A packet from its IPv6 header on. */
struct packet {
	size_t len;
	__u8 data[MAX_PACKET];
};

/* What the random choices start from: packets to SIDs, and addresses that a segment may be. */
struct seeds {
	int packets;
	int addresses;
	struct packet *packet[MAX_SEEDS];
	__u8 address[MAX_SEEDS][16];
};

struct header {
	size_t offset;
	size_t len;		/* less than the header says if the packet ends first */
	__u8 number;
};

/* The extension headers of a packet, and what is behind them. */
struct chain {
	struct header headers[MAX_HEADERS];
	int count;
	size_t end;
	size_t announced;	/* where the number of what is behind them stands */
	__u8 number;
	bool is_cut;		/* the packet ends in the last header */
};

/* What is known of the packets that come out: see blast_check.c. */
enum checks {
	CHECK_FRAME,
	CHECK_IP,
	CHECK_PATH,
	CHECK_LIST,
};

struct rng rng_new(__u64 seed, __u64 number);
__u32 rng_next(struct rng *rng);
__u32 rng_below(struct rng *rng, __u32 bound);
bool rng_chance(struct rng *rng, __u32 percent);
void rng_fill(struct rng *rng, void *data, size_t len);
#define rng_pick(rng, array) ((array)[rng_below(rng, sizeof(array) / sizeof((array)[0]))])

__u16 get16(const __u8 *at);
void put16(__u8 *at, __u16 value);
void walk(const __u8 *data, size_t len, struct chain *chain);
const struct header *find_srh(const __u8 *data, const struct chain *chain, bool active);
bool is_valid_srh(const __u8 *srh, size_t len);

size_t make_srh(struct rng *rng, const struct seeds *seeds, __u8 *srh);
void mutate(struct rng *rng, const struct seeds *seeds, struct packet *packet);
void settle(struct rng *rng, struct packet *packet, const __u8 *destination, __u32 label);

const char *find_fault(enum checks checks, const struct packet *in, bool is_plain,
		       const __u8 *frame, size_t len);

struct script;
struct iovec;
bool guide_start(int tap, int file);
bool is_guided(void);
int guide_send(const struct iovec *parts, int count, ssize_t *sent);
void guide_keep_packet(struct rng *rng, const struct packet *packet);
void guide_keep_script(struct rng *rng, const struct script *script);
void guide_packet(struct rng *rng, struct packet *packet);
bool guide_script(struct rng *rng, struct script *script);

enum checks make_script(struct rng *rng, const struct seeds *seeds, const struct packet *packet,
			bool is_lwt_in, struct script *script);
int load_script(int map, struct script *script);
int test_run(int program, const __u8 *frame, size_t len);

#endif
