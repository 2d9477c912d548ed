/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The C side of seg6local in Rust: what net/core/lwt_seg6local.c shares with net/core/filter.c
 * and with the module net/ipv6/seg6_local.
 *
 * Include <net/seg6_local.h>, which includes this file when CONFIG_IPV6_SEG6_LOCAL_RUST is set.
 */

#ifndef _NET_SEG6_LOCAL_RUST_H
#define _NET_SEG6_LOCAL_RUST_H

#include <linux/bpf.h>
#include <linux/local_lock.h>
#include <linux/percpu.h>
#include <linux/skbuff.h>

/**
 * struct seg6_bpf_srh_edit - the SRH that a running program edits
 * @skb: the packet of the program, NULL while no program of the type runs on this CPU
 * @srh_offset: octets from skb->data to the SRH
 * @srh_len: octets of the SRH, which its 8-bit header length may not state yet
 * @present: the packet has an SRH
 * @valid: the SRH was validated after the last change of its TLVs
 * @decapsulated: the outer headers of the packet were removed
 *
 * Offsets, not pointers: most of the helpers may move the packet.
 */
struct seg6_bpf_srh_edit {
	const struct sk_buff *skb;
	u32 srh_offset;
	u32 srh_len;
	bool present;
	bool valid;
	bool decapsulated;
};

/* The longest SRH that the 8-bit header length can state, in bytes */
#define SEG6_BPF_SRH_MAX_LEN	2048

/**
 * struct seg6_bpf_srh_state - per-CPU storage of the SRH edit
 * @bh_lock: held while a program of the type runs, or a helper uses @copy
 * @edit: owned by the holder of @bh_lock
 * @copy: the parameter of a helper, which is too long for a stack; owned in the same way
 */
struct seg6_bpf_srh_state {
	local_lock_t bh_lock;
	struct seg6_bpf_srh_edit edit;
	u8 copy[SEG6_BPF_SRH_MAX_LEN];
};

DECLARE_PER_CPU(struct seg6_bpf_srh_state, seg6_bpf_srh_states);

static inline struct seg6_bpf_srh_state *seg6_bpf_srh_state_lock(void)
{
	local_lock_nested_bh(&seg6_bpf_srh_states.bh_lock);
	return this_cpu_ptr(&seg6_bpf_srh_states);
}

static inline void seg6_bpf_srh_state_unlock(void)
{
	local_unlock_nested_bh(&seg6_bpf_srh_states.bh_lock);
}

/**
 * struct seg6_bpf_ops - the bodies of the BPF helpers
 * @store_bytes: bpf_lwt_seg6_store_bytes()
 * @adjust_srh: bpf_lwt_seg6_adjust_srh()
 * @action: bpf_lwt_seg6_action()
 * @push_encap: bpf_lwt_push_encap() of LWT_IN programs, types SEG6 and SEG6_INLINE
 *
 * All are called with the RCU read lock held and bottom halves off.
 */
struct seg6_bpf_ops {
	int (*store_bytes)(struct sk_buff *skb, u32 offset, const void *from, u32 len);
	int (*adjust_srh)(struct sk_buff *skb, u32 offset, s32 delta);
	int (*action)(struct sk_buff *skb, u32 action, const void *param, u32 param_len);
	int (*push_encap)(struct sk_buff *skb, u32 type, const void *hdr, u32 len);
};

void seg6_bpf_register(const struct seg6_bpf_ops *ops);
void seg6_bpf_unregister(void);
void seg6_local_request(void);

int bpf_push_seg6_encap(struct sk_buff *skb, u32 type, void *hdr, u32 len);

extern const struct bpf_func_proto bpf_lwt_seg6_store_bytes_proto;
extern const struct bpf_func_proto bpf_lwt_seg6_action_proto;
extern const struct bpf_func_proto bpf_lwt_seg6_adjust_srh_proto;

#endif
