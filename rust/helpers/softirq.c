// SPDX-License-Identifier: GPL-2.0-or-later

#include <linux/bottom_half.h>
#include <linux/lockdep.h>

__rust_helper void rust_helper_local_bh_disable(void)
{
	local_bh_disable();
}

__rust_helper void rust_helper_local_bh_enable(void)
{
	local_bh_enable();
}

__rust_helper void rust_helper_lockdep_assert_in_softirq(void)
{
	lockdep_assert_in_softirq();
}
