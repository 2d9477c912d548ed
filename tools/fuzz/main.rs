// SPDX-License-Identifier: GPL-2.0-or-later

//! The program around the checks: libFuzzer has `main()` and calls the check that `TARGET` names.
//!
//! At the end it prints how many cases there were of each class.

#![no_main]
#![deny(unsafe_code)]

use parsers::{
    Input,
    Target,
    TARGETS, //
};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    ffi::c_int, //
};

/// The target, and the number of cases of each of its classes.
struct Run {
    target: &'static Target,
    cases: BTreeMap<&'static str, u64>,
}

impl Run {
    fn from_environment() -> Self {
        let name = std::env::var("TARGET").unwrap_or_default();
        let target = TARGETS
            .iter()
            .find(|target| target.name == name)
            .unwrap_or_else(|| panic!("there is no target TARGET={name}"));

        Self {
            target,
            cases: target.classes.iter().map(|&class| (class, 0)).collect(),
        }
    }

    fn check(&mut self, data: &[u8]) {
        let class = (self.target.check)(&mut Input(data));

        *self.cases.get_mut(class).expect("a class of the target") += 1;
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        for (class, number) in &self.cases {
            eprintln!("class: {number} {class}");
        }
    }
}

thread_local! {
    static RUN: RefCell<Run> = RefCell::new(Run::from_environment());
}

/// Checks one case.
#[allow(non_snake_case, unsafe_code)]
#[no_mangle]
extern "C" fn LLVMFuzzerTestOneInput(data: *const u8, size: usize) -> c_int {
    // SAFETY: libFuzzer passes so many octets, and leaves them alone until this returns.
    let data = unsafe { std::slice::from_raw_parts(data, size) };

    RUN.with_borrow_mut(|run| run.check(data));
    0
}
