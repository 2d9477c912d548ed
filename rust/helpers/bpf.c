// SPDX-License-Identifier: GPL-2.0-or-later

#include <linux/bpf.h>
#include <linux/filter.h>

#ifdef CONFIG_BPF_SYSCALL

__rust_helper struct bpf_prog *rust_helper_bpf_prog_get_type(u32 ufd, enum bpf_prog_type type)
{
	return bpf_prog_get_type(ufd, type);
}

__rust_helper
u32 rust_helper_bpf_prog_run_save_cb(const struct bpf_prog *prog, struct sk_buff *skb)
{
	/* The caller cannot migrate, as bottom halves are off. */
	return __bpf_prog_run_save_cb(prog, skb);
}

__rust_helper void rust_helper_bpf_compute_data_pointers(struct sk_buff *skb)
{
	bpf_compute_data_pointers(skb);
}

#endif
