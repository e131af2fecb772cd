//! What the operating system must be told once at start, and asked now and then. The only file with `unsafe`: each use is
//! one call into libc with plain numbers or a static string.
#![allow(unsafe_code)]

/// Settings that must come before the first thread and the first big allocation.
pub fn prepare() {
    tune_allocator();
    keep_foreign_resolver_modules_out();
}

/// Keeps glibc's allocator from hoarding: with its defaults twenty 5 MB bodies left 317 MB behind, with these 8 MB, at no
/// loss of speed (crate_notes.md 5).
fn tune_allocator() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt takes two integers and touches only the allocator's own settings.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 64 * 1024);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 128 * 1024);
    }
}

/// A static glibc would load the host's resolver modules named in /etc/nsswitch.conf, built for another glibc: a crash
/// waiting to happen. `files dns` is built in (crate_notes.md 5).
fn keep_foreign_resolver_modules_out() {
    #[cfg(all(target_os = "linux", target_env = "gnu", target_feature = "crt-static"))]
    {
        unsafe extern "C" {
            fn __nss_configure_lookup(db: *const libc::c_char, service_line: *const libc::c_char) -> libc::c_int;
        }
        // SAFETY: both arguments are static, NUL-terminated strings that glibc only reads.
        unsafe { __nss_configure_lookup(c"hosts".as_ptr(), c"files dns".as_ptr()) };
    }
}

/// Raises the limit of open files to the hard limit and returns it; a stream takes two descriptors.
pub fn raise_open_files() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: getrlimit and setrlimit read and write only the struct given.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) != 0 {
            return 1024;
        }
        let raised = libc::rlimit { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max };
        if libc::setrlimit(libc::RLIMIT_NOFILE, &raised) == 0 {
            limit = raised;
        }
    }
    limit.rlim_cur
}

/// Memory of the machine in bytes, or of the container if that is given less; `None` when the system does not tell.
/// Asked of the kernel, since a hardened service may not see /proc/meminfo.
pub fn memory() -> Option<u64> {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: sysinfo fills the struct, for which all zeros is a valid value.
        let info = unsafe {
            let mut info: libc::sysinfo = std::mem::zeroed();
            (libc::sysinfo(&mut info) == 0).then_some(info)
        }?;
        // `c_ulong` has 32 bits on some machines.
        #[allow(clippy::useless_conversion)]
        let machine = u64::from(info.totalram) * u64::from(info.mem_unit);
        // The word "max" is no number: no limit.
        let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
        Some(limit.map_or(machine, |limit: u64| limit.min(machine)))
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// Resident memory of this process in bytes; 0 where /proc does not tell.
pub fn resident_memory() -> u64 {
    let Ok(statm) = std::fs::read_to_string("/proc/self/statm") else { return 0 };
    let pages: u64 = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    // SAFETY: sysconf takes an integer and returns one.
    let page_size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages * u64::try_from(page_size).unwrap_or(4096)
}
