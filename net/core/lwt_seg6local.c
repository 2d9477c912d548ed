// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * BPF helpers of seg6local in Rust.
 *
 * BPF_CALL_x() and struct bpf_func_proto are C macros and tables, and the verifier needs both
 * when the module is absent. So the helpers are defined here and only dispatch: to the functions
 * that the module registers, or to stubs that return -EOPNOTSUPP.
 */

#include <linux/bpf.h>
#include <linux/export.h>
#include <linux/filter.h>
#include <linux/jiffies.h>
#include <linux/kmod.h>
#include <linux/rcupdate.h>
#include <linux/static_call.h>
#include <net/seg6_local.h>

DEFINE_PER_CPU(struct seg6_bpf_srh_state, seg6_bpf_srh_states) = {
	.bh_lock	= INIT_LOCAL_LOCK(bh_lock),
};

EXPORT_PER_CPU_SYMBOL_GPL(seg6_bpf_srh_states);

static int seg6_bpf_no_store_bytes(struct sk_buff *skb, u32 offset, const void *from, u32 len)
{
	return -EOPNOTSUPP;
}

static int seg6_bpf_no_adjust_srh(struct sk_buff *skb, u32 offset, s32 delta)
{
	return -EOPNOTSUPP;
}

static int seg6_bpf_no_action(struct sk_buff *skb, u32 action, const void *param, u32 param_len)
{
	return -EOPNOTSUPP;
}

static int seg6_bpf_no_push_encap(struct sk_buff *skb, u32 type, const void *hdr, u32 len)
{
	return -EOPNOTSUPP;
}

static const struct seg6_bpf_ops seg6_bpf_no_ops = {
	.store_bytes	= seg6_bpf_no_store_bytes,
	.adjust_srh	= seg6_bpf_no_adjust_srh,
	.action		= seg6_bpf_no_action,
	.push_encap	= seg6_bpf_no_push_encap,
};

static bool seg6_bpf_registered;

DEFINE_STATIC_CALL(seg6_bpf_store_bytes, seg6_bpf_no_store_bytes);
DEFINE_STATIC_CALL(seg6_bpf_adjust_srh, seg6_bpf_no_adjust_srh);
DEFINE_STATIC_CALL(seg6_bpf_action, seg6_bpf_no_action);
DEFINE_STATIC_CALL(seg6_bpf_push_encap, seg6_bpf_no_push_encap);

static void seg6_bpf_set_ops(const struct seg6_bpf_ops *ops)
{
	static_call_update(seg6_bpf_store_bytes, ops->store_bytes);
	static_call_update(seg6_bpf_adjust_srh, ops->adjust_srh);
	static_call_update(seg6_bpf_action, ops->action);
	static_call_update(seg6_bpf_push_encap, ops->push_encap);
}

/**
 * seg6_bpf_register - let the BPF helpers call @ops
 * @ops: the bodies of the helpers
 *
 * There is one caller, the owner of LWTUNNEL_ENCAP_SEG6_LOCAL.
 */
void seg6_bpf_register(const struct seg6_bpf_ops *ops)
{
	seg6_bpf_set_ops(ops);
	WRITE_ONCE(seg6_bpf_registered, true);
}
EXPORT_SYMBOL_GPL(seg6_bpf_register);

/**
 * seg6_bpf_unregister - let the BPF helpers return -EOPNOTSUPP again
 *
 * On return no program runs inside the functions that were registered.
 */
void seg6_bpf_unregister(void)
{
	WRITE_ONCE(seg6_bpf_registered, false);
	seg6_bpf_set_ops(&seg6_bpf_no_ops);
	synchronize_rcu();
}
EXPORT_SYMBOL_GPL(seg6_bpf_unregister);

/**
 * seg6_local_request - load the module if it is absent
 *
 * The verifier calls this each time it follows a path of a program to one of the helpers, so a
 * load that has failed is only repeated after a second. May sleep.
 */
void seg6_local_request(void)
{
	static unsigned long failed_at = INITIAL_JIFFIES - 2 * HZ;
	unsigned long failed = READ_ONCE(failed_at);

	if (READ_ONCE(seg6_bpf_registered) || time_in_range(jiffies, failed, failed + HZ))
		return;
	request_module("rtnl-lwt-SEG6LOCAL");
	if (!READ_ONCE(seg6_bpf_registered))
		WRITE_ONCE(failed_at, jiffies);
}

int bpf_push_seg6_encap(struct sk_buff *skb, u32 type, void *hdr, u32 len)
{
	int err = static_call(seg6_bpf_push_encap)(skb, type, hdr, len);

	bpf_compute_data_pointers(skb);
	return err;
}

BPF_CALL_4(bpf_lwt_seg6_store_bytes, struct sk_buff *, skb, u32, offset,
	   const void *, from, u32, len)
{
	int err = static_call(seg6_bpf_store_bytes)(skb, offset, from, len);

	bpf_compute_data_pointers(skb);
	return err;
}

const struct bpf_func_proto bpf_lwt_seg6_store_bytes_proto = {
	.func		= bpf_lwt_seg6_store_bytes,
	.gpl_only	= false,
	.ret_type	= RET_INTEGER,
	.arg1_type	= ARG_PTR_TO_CTX,
	.arg2_type	= ARG_ANYTHING,
	.arg3_type	= ARG_PTR_TO_MEM | MEM_RDONLY,
	.arg4_type	= ARG_MEM_SIZE,
};

BPF_CALL_4(bpf_lwt_seg6_action, struct sk_buff *, skb, u32, action,
	   void *, param, u32, param_len)
{
	int err = static_call(seg6_bpf_action)(skb, action, param, param_len);

	bpf_compute_data_pointers(skb);
	return err;
}

const struct bpf_func_proto bpf_lwt_seg6_action_proto = {
	.func		= bpf_lwt_seg6_action,
	.gpl_only	= false,
	.ret_type	= RET_INTEGER,
	.arg1_type	= ARG_PTR_TO_CTX,
	.arg2_type	= ARG_ANYTHING,
	.arg3_type	= ARG_PTR_TO_MEM | MEM_RDONLY,
	.arg4_type	= ARG_MEM_SIZE,
};

BPF_CALL_3(bpf_lwt_seg6_adjust_srh, struct sk_buff *, skb, u32, offset, s32, len)
{
	int err = static_call(seg6_bpf_adjust_srh)(skb, offset, len);

	bpf_compute_data_pointers(skb);
	return err;
}

const struct bpf_func_proto bpf_lwt_seg6_adjust_srh_proto = {
	.func		= bpf_lwt_seg6_adjust_srh,
	.gpl_only	= false,
	.ret_type	= RET_INTEGER,
	.arg1_type	= ARG_PTR_TO_CTX,
	.arg2_type	= ARG_ANYTHING,
	.arg3_type	= ARG_ANYTHING,
};
