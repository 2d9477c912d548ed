// SPDX-License-Identifier: GPL-2.0-or-later

#include <net/seg6_hmac.h>
#include <net/seg6_local.h>

#if IS_ENABLED(CONFIG_IPV6_SEG6_LOCAL_RUST)

__rust_helper struct seg6_bpf_srh_state *rust_helper_seg6_bpf_srh_state_lock(void)
{
	return seg6_bpf_srh_state_lock();
}

__rust_helper void rust_helper_seg6_bpf_srh_state_unlock(void)
{
	seg6_bpf_srh_state_unlock();
}

__rust_helper struct seg6_bpf_srh_state *rust_helper_seg6_bpf_srh_state_this_cpu(void)
{
	return this_cpu_ptr(&seg6_bpf_srh_states);
}

#endif
