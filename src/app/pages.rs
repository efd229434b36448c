//! Pages of code and constants that only the start needed.
//!
//! Most of an idle collector's resident memory would be the program itself: the command line, the configuration and the
//! set-up of each stage run once and are not looked at again, but their pages stay mapped. They are clean pages of a file,
//! so that letting them go costs no writing, and one that is needed again is mapped again from the page cache.

use std::ffi::{c_int, c_void};
use std::ptr;

/// No system that the collector runs on has larger pages.
const PAGE_MAX: usize = 64 * 1024;

/// Lets go of the pages that are mapped read-only from the program. Those in use come back at once.
pub(super) fn let_go() {
    // SAFETY: the callback has the form that dl_iterate_phdr(3) asks for, and needs no data.
    unsafe { libc::dl_iterate_phdr(Some(of_object), ptr::null_mut()) };
}

/// Called with the program first, and ends the round with it: libraries are shared with all other processes anyway.
unsafe extern "C" fn of_object(object: *mut libc::dl_phdr_info, _: usize, _: *mut c_void) -> c_int {
    // SAFETY: dl_iterate_phdr(3) hands over a description that is valid during the call, with that many headers.
    let (base, headers) = unsafe {
        let object = &*object;
        let headers = std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into());
        (object.dlpi_addr as usize, headers)
    };
    for header in headers {
        // What is or was writable, such as constants with addresses in them, is not what the file has.
        if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 {
            continue;
        }
        let start = (base + header.p_vaddr as usize).next_multiple_of(PAGE_MAX);
        let end = (base + header.p_vaddr as usize + header.p_memsz as usize) / PAGE_MAX * PAGE_MAX;
        if start < end {
            // SAFETY: these pages are mapped from the program's file for as long as it runs, and nobody could write to them,
            // so they read the same when they come back.
            unsafe { libc::madvise(start as *mut c_void, end - start, libc::MADV_DONTNEED) };
        }
    }
    1
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::*;

    /// A page that is needed again may bring others: what the system keeps together of a file is no larger than this.
    const TOGETHER: usize = 2 << 20;

    /// Constants of the program that nobody else looks at.
    static CONSTANTS: [u8; 2 * TOGETHER + 4 * PAGE_MAX] = [7; 2 * TOGETHER + 4 * PAGE_MAX];

    /// How many pages in the middle of them are mapped, where no neighbour brings any.
    fn mapped() -> usize {
        // SAFETY: it asks for a number.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap();
        // proc(5), /proc/pid/pagemap: eight bytes for a page, of which the highest bit says that it is present.
        let map = File::open("/proc/self/pagemap").unwrap();
        let middle = CONSTANTS.as_ptr() as usize + TOGETHER;
        let pages = middle.div_ceil(page)..(middle + 4 * PAGE_MAX) / page;
        let is_present = |at: &usize| {
            let mut entry = [0; 8];
            map.read_exact_at(&mut entry, (at * 8) as u64).unwrap();
            u64::from_ne_bytes(entry) >> 63 == 1
        };
        pages.filter(is_present).count()
    }

    /// Looks at all of the constants, until they are mapped: another test may let go of them at any time.
    fn used() -> u64 {
        for _ in 0..1000 {
            let sum = std::hint::black_box(&CONSTANTS).iter().map(|byte| u64::from(*byte)).sum();
            if mapped() > 0 {
                return sum;
            }
        }
        panic!("pages that were used are not mapped");
    }

    #[test]
    fn pages_that_nobody_uses_go_and_come_back_as_they_were() {
        let sum = used();
        let_go();
        assert_eq!(mapped(), 0);
        assert_eq!(used(), sum);
    }
}
