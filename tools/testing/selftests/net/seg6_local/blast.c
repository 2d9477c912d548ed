// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sends random packets to a SID and checks what comes out. See blaster.py, which runs it.
 *
 *   blast -t TX -v VNET -r RX [-d TAP] -s SEED [-f FIRST] -n COUNT -c CHECKS [-b BATCH]
 *         -k INJECT [-m MAP [-l PROGRAM]] [-g FILE]
 *
 * All sockets are inherited packet sockets: TX and VNET send to the router, VNET with a virtio_net
 * header, RX receives all that it sends, TAP also gets what it receives, so that the router's
 * packets are clones. INJECT is a TAP device of the router: its driver, unlike that of a sender,
 * takes a packet as it is. Standard input has records, each with a 32-bit length in front: a frame
 * to mark the end of a batch, then seeds: addresses (16 bytes) and IPv6 packets to the SID.
 *
 * Packet number N of a seed is the same in every run, so that -f and -n repeat a part of it. With
 * -m, each batch has its own script in the map. PROGRAM is the one that reads it if that is of type
 * LWT_IN, which the kernel can also run without a route. With -g, all packets are written to
 * INJECT, and coverage guides the choices: see blast_guide.c. They depend then on what is in FILE,
 * which is kept from one run to the next.
 * The last line of the output is "sent N received N refused N tested N invalid N edges N kept N".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "blast.h"
#include "progs/script.h"

#define MAX_BATCH	64
#define RECEIVED	16	/* frames that are received with one system call */
#define LABEL		0xa5f00	/* flow label of the first packet of a batch */
#define TIMEOUT_MS	30000
#define SHOWN		5

/* A packet that was sent, with what is in front of it on the way there. */
struct input {
	struct virtio_net_hdr vnet;
	__u8 ethernet[ETH_LEN];
	struct packet packet;
	bool has_vnet;
	bool is_injected;
};

static struct {
	int tx, vnet, rx, tap, map, program, inject, kept;
	__u64 seed, first, count;
	enum checks checks;
	int batch;
} option = { .tap = -1, .map = -1, .program = -1, .inject = -1, .kept = -1, .batch = 32 };

static struct {
	__u64 sent, received, refused, tested, invalid, edges, kept;
} total;

static struct seeds seeds;
static __u8 marker[128];
static size_t marker_len;
static struct input inputs[MAX_BATCH];

static void fail(const char *what)
{
	printf("error: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void read_seeds(void)
{
	static __u8 data[MAX_PACKET];
	__u32 len;

	while (fread(&len, sizeof(len), 1, stdin) == 1) {
		if (len > sizeof(data) || fread(data, 1, len, stdin) != len)
			fail("reading the seeds");
		if (!marker_len) {
			marker_len = len;
			memcpy(marker, data, len);
		} else if (len == 16) {
			memcpy(seeds.address[seeds.addresses++], data, len);
		} else if (seeds.packets < MAX_SEEDS && len >= IP6_LEN) {
			struct packet *packet = calloc(1, sizeof(*packet));

			if (!packet)
				fail("memory");
			packet->len = len;
			memcpy(packet->data, data, len);
			seeds.packet[seeds.packets++] = packet;
		}
	}
	if (!seeds.packets || !seeds.addresses)
		fail("there are no seeds");
}

/* Finds the headers of the packet that is inside of all others; returns where it starts. */
static size_t walk_in(const struct packet *packet, struct chain *chain)
{
	size_t at = 0;

	walk(packet->data, packet->len, chain);
	while (!chain->is_cut && chain->number == IPPROTO_IPV6 &&
	       packet->len - at - chain->end >= IP6_LEN) {
		at += chain->end;
		walk(packet->data + at, packet->len - at, chain);
	}
	return at;
}

/*
 * Asks for segmentation of the payload, TCP or UDP, of the outer or of an inner packet, if the
 * headers are complete.
 */
static void add_gso(struct rng *rng, struct input *input)
{
	static const __u8 types[] = {
		VIRTIO_NET_HDR_GSO_TCPV6, VIRTIO_NET_HDR_GSO_TCPV6, VIRTIO_NET_HDR_GSO_UDP_L4,
		VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN,
	};
	struct packet *packet = &input->packet;
	__u8 type = rng_pick(rng, types);
	bool is_udp = type == VIRTIO_NET_HDR_GSO_UDP_L4;
	size_t payload = 100 + rng_below(rng, 20000);
	struct chain chain;
	size_t ip, at;
	__u8 *transport;

	ip = walk_in(packet, &chain);
	if (chain.is_cut)
		return;
	at = ip + chain.end;
	packet->data[ip + chain.announced] = is_udp ? IPPROTO_UDP : IPPROTO_TCP;
	put16(packet->data + ip + 4, chain.end - IP6_LEN + 20 + payload);
	transport = packet->data + at;
	memset(transport, 0, 20 + payload);
	packet->len = at + 20 + payload;
	transport[12] = 5 << 4;
	if (is_udp)
		put16(transport + 4, 20 + payload);
	input->vnet = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = type,
		.gso_size = 1 + rng_below(rng, 1400),
		.hdr_len = ETH_LEN + at + (is_udp ? 8 : 20),
		.csum_start = ETH_LEN + at,
		.csum_offset = is_udp ? 6 : 16,
	};
}

/* Says that TCP starts somewhere behind the IPv6 header: what is behind that is in pages then. */
static void lie(struct rng *rng, struct input *input)
{
	struct virtio_net_hdr *vnet = &input->vnet;
	size_t least = ETH_LEN + IP6_LEN;

	if (vnet->gso_type != VIRTIO_NET_HDR_GSO_TCPV6)
		return;
	vnet->gso_size = 90; /* less than any payload, else there would be nothing to segment */
	vnet->csum_start = least + rng_below(rng, vnet->csum_start - least + 1);
	vnet->hdr_len = vnet->csum_start + 20;
}

/*
 * Asks for a checksum, which is written when the packet leaves: behind the headers that the router
 * may look at, also after a decapsulation.
 */
static void add_checksum(struct rng *rng, struct input *input)
{
	struct chain chain;
	size_t at = walk_in(&input->packet, &chain);

	if (chain.is_cut)
		return;
	at += chain.end;
	input->vnet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	input->vnet.csum_start = ETH_LEN + at + IP6_LEN;
	input->vnet.csum_offset = rng_below(rng, 20);
}

/* Asks for segmentation or a checksum, or for a certain number of bytes in the head of the skb. */
static void add_vnet(struct rng *rng, struct input *input)
{
	struct packet *packet = &input->packet;

	input->has_vnet = true;
	if (rng_chance(rng, 30)) {
		add_gso(rng, input);
		input->is_injected = rng_chance(rng, 50);
		if (input->is_injected && rng_chance(rng, 50))
			lie(rng, input);
		return;
	}
	if (rng_chance(rng, 20)) {
		add_checksum(rng, input);
	} else if (packet->len < 4500) {
		rng_fill(rng, packet->data + packet->len, 4500);
		packet->len += 4500;
	}
	input->vnet.hdr_len = ETH_LEN + rng_below(rng, rng_chance(rng, 80) ? 200 : 4000);
}

static void make_input(__u64 number, struct input *input)
{
	struct rng rng = rng_new(option.seed, number);
	const struct packet *from = seeds.packet[rng_below(&rng, seeds.packets)];

	input->packet.len = from->len;
	memcpy(input->packet.data, from->data, from->len);
	guide_packet(&rng, &input->packet);
	memcpy(input->ethernet, marker, ETH_LEN);
	input->has_vnet = false;
	input->is_injected = false;
	memset(&input->vnet, 0, sizeof(input->vnet));
	if (option.map < 0 || is_guided() || rng_chance(&rng, 30))
		mutate(&rng, &seeds, &input->packet);
	if (rng_chance(&rng, 8))
		add_vnet(&rng, input);
	settle(&rng, &input->packet, from->data + 24, LABEL + number % option.batch);
}

/* Sends inputs through one of the sockets; those that the kernel does not take are counted. */
static void send_inputs(int count, bool vnet)
{
	struct mmsghdr messages[MAX_BATCH] = {};
	struct iovec parts[MAX_BATCH][3];
	int used = 0;

	for (int i = 0; i < count; i++) {
		struct input *input = &inputs[i];

		if (input->is_injected || input->has_vnet != vnet)
			continue;
		parts[used][0] = (struct iovec){ &input->vnet, sizeof(input->vnet) };
		parts[used][1] = (struct iovec){ input->ethernet, ETH_LEN };
		parts[used][2] = (struct iovec){ input->packet.data, input->packet.len };
		messages[used].msg_hdr.msg_iov = parts[used] + !vnet;
		messages[used].msg_hdr.msg_iovlen = 2 + vnet;
		used++;
	}
	for (int at = 0, sent; at < used; at += sent) {
		sent = sendmmsg(vnet ? option.vnet : option.tx, messages + at, used - at, 0);
		if (sent < 0) {
			total.refused++;
			sent = 1;
		} else {
			total.sent += sent;
		}
	}
}

/* Writes an input to the TAP device; returns how many new ways through the kernel it took. */
static int inject(struct input *input)
{
	struct iovec parts[] = {
		{ &input->vnet, sizeof(input->vnet) },
		{ input->ethernet, ETH_LEN },
		{ input->packet.data, input->packet.len },
	};
	ssize_t sent;
	int edges = 0;

	if (is_guided())
		edges = guide_send(parts, 3, &sent);
	else
		sent = writev(option.inject, parts, 3);
	total.sent += sent >= 0;
	total.refused += sent < 0;
	return edges;
}

/* Writes those inputs to the TAP device that are for it. */
static void inject_inputs(int count)
{
	for (int i = 0; i < count; i++)
		if (inputs[i].is_injected)
			inject(&inputs[i]);
}

/* Injects all inputs; keeps those that take new ways through the kernel, and the script. */
static void send_guided(struct rng *rng, int count, const struct script *script)
{
	for (int i = 0; i < count; i++) {
		int edges = inject(&inputs[i]);

		if (!edges)
			continue;
		total.edges += edges;
		total.kept++;
		guide_keep_packet(rng, &inputs[i].packet);
		if (script)
			guide_keep_script(rng, script);
	}
}

static void show(const char *what, const __u8 *data, size_t len)
{
	printf("  %s %zu ", what, len);
	for (size_t i = 0; i < len; i++)
		printf("%02x", data[i]);
	printf("\n");
}

/* The input that a frame comes from; NULL if that is not known. */
static struct input *find_input(const __u8 *frame, size_t len, int count)
{
	const __u8 *ip = frame + ETH_LEN;
	__u32 label;

	if (len < ETH_LEN + IP6_LEN || get16(frame + ETH_LEN - 2) != ETH_P_IPV6)
		return NULL;
	label = (ip[1] & 15) << 16 | get16(ip + 2);
	return label >= LABEL && label < LABEL + (__u32)count ? &inputs[label - LABEL] : NULL;
}

static void check_frame(__u64 first, int count, enum checks checks, const __u8 *frame,
			size_t len)
{
	struct input *input = find_input(frame, len, count);
	struct packet *packet = input ? &input->packet : NULL;
	const char *fault;

	total.received++;
	if (packet && IP6_LEN + (size_t)get16(packet->data + 4) < packet->len)
		packet->len = IP6_LEN + get16(packet->data + 4);
	fault = find_fault(checks, packet, input && !input->vnet.flags, frame, len);
	if (!fault || total.invalid++ >= SHOWN)
		return;
	printf("invalid: %s; packet %ld of the batch from %llu\n", fault,
	       input ? (long)(input - inputs) : -1, first);
	if (input)
		show("in", packet->data, packet->len);
	show("out", frame, len);
}

/* Whether a frame is the marker of the batch, behind a hop. */
static bool is_marker(const __u8 *frame, size_t len)
{
	const size_t from = ETH_LEN + 8;

	return len == marker_len && !memcmp(frame + from, marker + from, len - from);
}

/* Receives until the marker comes; it is the last, as all queues are first in, first out. */
static void receive(__u64 first, int count, enum checks checks)
{
	static __u8 frames[RECEIVED][MAX_PACKET + 256];
	struct mmsghdr messages[RECEIVED];
	struct iovec parts[RECEIVED];
	struct pollfd waiting = { .fd = option.rx, .events = POLLIN };

	for (;;) {
		int received;

		for (int i = 0; i < RECEIVED; i++) {
			parts[i] = (struct iovec){ frames[i], sizeof(frames[i]) };
			messages[i].msg_hdr = (struct msghdr){
				.msg_iov = &parts[i],
				.msg_iovlen = 1,
			};
		}
		if (poll(&waiting, 1, TIMEOUT_MS) < 1)
			fail("the router does not send the marker");
		received = recvmmsg(option.rx, messages, RECEIVED, MSG_DONTWAIT, NULL);
		if (received < 0 && errno != EAGAIN)
			fail("receiving");
		for (int i = 0; i < received; i++) {
			if (is_marker(frames[i], messages[i].msg_len))
				return;
			check_frame(first, count, checks, frames[i], messages[i].msg_len);
		}
	}
}

static void empty_tap(void)
{
	char byte;

	while (option.tap >= 0 && recv(option.tap, &byte, 1, MSG_DONTWAIT) > 0)
		;
}

/* Runs the program, which is the same as that of the SID, outside of a route. */
static void test_inputs(int count)
{
	for (int i = 0; i < count; i++) {
		__u8 frame[ETH_LEN + 2048];
		size_t len = inputs[i].packet.len < 2048 ? inputs[i].packet.len : 2048;

		memcpy(frame, inputs[i].ethernet, ETH_LEN);
		memcpy(frame + ETH_LEN, inputs[i].packet.data, len);
		total.tested += !test_run(option.program, frame, ETH_LEN + len);
	}
}

/* A batch is made as a whole, as its script is for the first packet. */
static void run_batch(__u64 first, int count)
{
	struct rng rng = rng_new(~option.seed, first);
	enum checks checks = option.checks;
	static struct script script;

	for (int i = 0; i < count; i++)
		make_input(first + i, &inputs[i]);
	if (option.map >= 0) {
		checks = make_script(&rng, &seeds, &inputs[0].packet, option.program >= 0, &script);
		if (load_script(option.map, &script))
			fail("loading a script");
		if (option.program >= 0 && rng_chance(&rng, 20))
			test_inputs(count);
	}
	if (is_guided()) {
		send_guided(&rng, count, option.map >= 0 ? &script : NULL);
	} else {
		send_inputs(count, false);
		send_inputs(count, true);
		inject_inputs(count);
	}
	memcpy(marker + marker_len - sizeof(first), &first, sizeof(first));
	if (send(option.tx, marker, marker_len, 0) < 0)
		fail("sending the marker");
	receive(first, count, checks);
	empty_tap();
}

static void set_option(int letter, __u64 value)
{
	switch (letter) {
	case 't':
		option.tx = value;
		break;
	case 'v':
		option.vnet = value;
		break;
	case 'r':
		option.rx = value;
		break;
	case 'd':
		option.tap = value;
		break;
	case 's':
		option.seed = value;
		break;
	case 'f':
		option.first = value;
		break;
	case 'n':
		option.count = value;
		break;
	case 'c':
		option.checks = value;
		break;
	case 'b':
		option.batch = value;
		break;
	case 'm':
		option.map = value;
		break;
	case 'l':
		option.program = value;
		break;
	case 'k':
		option.inject = value;
		break;
	case 'g':
		option.kept = value;
		break;
	default:
		exit(2);
	}
}

int main(int argc, char **argv)
{
	int letter;

	while ((letter = getopt(argc, argv, "t:v:r:d:s:f:n:c:b:m:l:k:g:")) != -1)
		set_option(letter, optarg ? strtoull(optarg, NULL, 0) : 0);
	if (option.batch < 1 || option.batch > MAX_BATCH)
		exit(2);
	read_seeds();
	if (option.kept >= 0 && !guide_start(option.inject, option.kept))
		fail("coverage");
	for (__u64 at = option.first, end = at + option.count; at < end; at += option.batch)
		run_batch(at, end - at < (__u64)option.batch ? end - at : option.batch);
	printf("sent %llu received %llu refused %llu tested %llu invalid %llu ", total.sent,
	       total.received, total.refused, total.tested, total.invalid);
	printf("edges %llu kept %llu\n", total.edges, total.kept);
	return 0;
}
