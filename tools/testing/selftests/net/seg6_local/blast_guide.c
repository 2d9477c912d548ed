// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guidance by the coverage of the kernel (CONFIG_KCOV): packets and scripts that make it run code
 * in an order that was not seen before are kept, and later ones are made from them.
 *
 * KCOV records what a task does, so packets are written to a TAP device: its driver hands them to
 * the stack at once, in the context of the writer.
 */
#include <fcntl.h>
#include <linux/kcov.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "blast.h"
#include "progs/script.h"

#define KCOV		"/sys/kernel/debug/kcov"
#define AREA_WORDS	65536
#define EDGES		65536
#define KEPT_PACKETS	512
#define KEPT_SCRIPTS	256
#define KEPT_LEN	2048

/* What is kept from one run to the next, in a file in memory; all zero at first. */
struct kept {
	__u8 seen[EDGES];
	__u32 packets;
	__u32 scripts;
	struct {
		__u32 len;
		__u8 data[KEPT_LEN];
	} packet[KEPT_PACKETS];
	struct script script[KEPT_SCRIPTS];
};

static struct {
	int tap;
	unsigned long *area;
	struct kept *kept;
} guide = { .tap = -1 };

/* Starts the guidance; returns whether the kernel can give it. `file` holds what is kept. */
bool guide_start(int tap, int file)
{
	int fd = open(KCOV, O_RDWR);

	if (fd < 0 || ioctl(fd, KCOV_INIT_TRACE, AREA_WORDS) ||
	    ftruncate(file, sizeof(*guide.kept)))
		return false;
	guide.area = mmap(NULL, AREA_WORDS * sizeof(*guide.area), PROT_READ | PROT_WRITE,
			  MAP_SHARED, fd, 0);
	guide.kept = mmap(NULL, sizeof(*guide.kept), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (guide.area == MAP_FAILED || guide.kept == MAP_FAILED ||
	    ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC))
		return false;
	guide.tap = tap;
	return true;
}

bool is_guided(void)
{
	return guide.tap >= 0;
}

/* Sends a frame; returns how many places in the kernel followed each other for the first time. */
int guide_send(const struct iovec *parts, int count, ssize_t *sent)
{
	unsigned long last = 0, number;
	int found = 0;

	__atomic_store_n(&guide.area[0], 0, __ATOMIC_RELAXED);
	*sent = writev(guide.tap, parts, count);
	number = __atomic_load_n(&guide.area[0], __ATOMIC_RELAXED);
	for (unsigned long i = 1; i <= number && i < AREA_WORDS; i++) {
		unsigned long place = guide.area[i] * 0x9e3779b97f4a7c15 >> 40;
		__u8 *seen = &guide.kept->seen[(place ^ last) % EDGES];

		found += !*seen;
		*seen = 1;
		last = place >> 1;
	}
	return found;
}

/* Where to keep one more; any of those that are kept gives way when there is no room. */
static __u32 slot(struct rng *rng, __u32 *used, __u32 size)
{
	return *used < size ? (*used)++ : rng_below(rng, size);
}

void guide_keep_packet(struct rng *rng, const struct packet *packet)
{
	__u32 at;

	if (packet->len > KEPT_LEN)
		return;
	at = slot(rng, &guide.kept->packets, KEPT_PACKETS);
	guide.kept->packet[at].len = packet->len;
	memcpy(guide.kept->packet[at].data, packet->data, packet->len);
}

void guide_keep_script(struct rng *rng, const struct script *script)
{
	guide.kept->script[slot(rng, &guide.kept->scripts, KEPT_SCRIPTS)] = *script;
}

/* Replaces the packet with a kept one, mostly. */
void guide_packet(struct rng *rng, struct packet *packet)
{
	__u32 at;

	if (!is_guided() || !guide.kept->packets || rng_chance(rng, 30))
		return;
	at = rng_below(rng, guide.kept->packets);
	packet->len = guide.kept->packet[at].len;
	memcpy(packet->data, guide.kept->packet[at].data, packet->len);
}

/* Replaces the script with a kept one, mostly; returns whether it did. */
bool guide_script(struct rng *rng, struct script *script)
{
	if (!is_guided() || !guide.kept->scripts || rng_chance(rng, 40))
		return false;
	*script = guide.kept->script[rng_below(rng, guide.kept->scripts)];
	return true;
}
