// SPDX-License-Identifier: GPL-2.0-or-later

//! The numbers of the netlink attributes, `include/uapi/linux/seg6_local.h`.

use kernel::uapi;

macro_rules! numbers {
    ($($name:ident = $value:ident;)*) => {
        $(pub(crate) const $name: u16 = uapi::$value as u16;)*
    };
}

numbers! {
    ACTION = SEG6_LOCAL_ACTION;
    SRH = SEG6_LOCAL_SRH;
    TABLE = SEG6_LOCAL_TABLE;
    NH4 = SEG6_LOCAL_NH4;
    NH6 = SEG6_LOCAL_NH6;
    IIF = SEG6_LOCAL_IIF;
    OIF = SEG6_LOCAL_OIF;
    BPF = SEG6_LOCAL_BPF;
    VRFTABLE = SEG6_LOCAL_VRFTABLE;
    COUNTERS = SEG6_LOCAL_COUNTERS;
    FLAVORS = SEG6_LOCAL_FLAVORS;

    BPF_PROG = SEG6_LOCAL_BPF_PROG;
    BPF_PROG_NAME = SEG6_LOCAL_BPF_PROG_NAME;

    CNT_PAD = SEG6_LOCAL_CNT_PAD;
    CNT_PACKETS = SEG6_LOCAL_CNT_PACKETS;
    CNT_BYTES = SEG6_LOCAL_CNT_BYTES;
    CNT_ERRORS = SEG6_LOCAL_CNT_ERRORS;

    FLV_OPERATION = SEG6_LOCAL_FLV_OPERATION;
    FLV_LCBLOCK_BITS = SEG6_LOCAL_FLV_LCBLOCK_BITS;
    FLV_LCNODE_FN_BITS = SEG6_LOCAL_FLV_LCNODE_FN_BITS;
}

/// One more than the highest number of the attributes of a SID.
pub(crate) const N: usize = uapi::__SEG6_LOCAL_MAX as usize;
/// One more than the highest number inside [`BPF`].
pub(crate) const N_BPF: usize = uapi::__SEG6_LOCAL_BPF_PROG_MAX as usize;
/// One more than the highest number inside [`COUNTERS`].
pub(crate) const N_COUNTERS: usize = uapi::__SEG6_LOCAL_CNT_MAX as usize;
/// One more than the highest number inside [`FLAVORS`].
pub(crate) const N_FLAVORS: usize = uapi::__SEG6_LOCAL_FLV_MAX as usize;
