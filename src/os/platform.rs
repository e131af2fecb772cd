//! What the operating system must be told once at start, and asked now and then. The only file with `unsafe`: each use
//! is a call or two into libc, with a reason.
#![allow(unsafe_code)]

/// Settings that must come before the first thread and the first big allocation.
pub fn prepare() {
    leave_no_core();
    tune_allocator();
    keep_foreign_resolver_modules_out();
    make_room_for_descriptors();
}

/// A core would hold every key and token in clear. A limit of one byte ends it for files and for programs that take cores,
/// for which Linux does not look at a limit of none; an operator who needs a core can raise it (`prlimit`).
fn leave_no_core() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: getrlimit and setrlimit read and write only the struct given.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_CORE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max.min(1);
            libc::setrlimit(libc::RLIMIT_CORE, &limit);
        }
    }
}

/// Keeps glibc's allocator from hoarding: with its defaults twenty 5 MB bodies left 317 MB behind, with these 8 MB, at
/// no loss of speed (docs/crates.md "The allocator"). With eight arenas a short request had a tenth fewer switches
/// between threads, but the gaps in them grew for as long as the program was watched (`make soak`); with two its memory
/// stays where it is.
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
/// waiting to happen. `files dns` is built in (docs/crates.md "Name lookup in a static binary").
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

/// Has the kernel make the table of open files as large as 2,000 streams need. Each time that it doubles while there are several
/// threads, every thread that opens a file waits for all processors (`synchronize_rcu`): 5 to 20 ms, at 64, 128, 256 ...
pub fn make_room_for_descriptors() {
    let most = raise_open_files().clamp(1, 4096) as libc::c_int;
    // SAFETY: takes and closes a number that nobody has had yet; where standard error is closed, nothing happens.
    unsafe {
        let last = libc::fcntl(libc::STDERR_FILENO, libc::F_DUPFD_CLOEXEC, most - 1);
        if last >= 0 {
            libc::close(last);
        }
    }
}

/// Whether standard output takes a line without blocking, waiting for it at most so long. What is closed takes it too:
/// writing then fails at once.
pub fn output_has_room(patience: std::time::Duration) -> bool {
    let mut output = libc::pollfd { fd: libc::STDOUT_FILENO, events: libc::POLLOUT, revents: 0 };
    let milliseconds = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: poll reads and writes the one struct that it is told of.
    unsafe { libc::poll(&mut output, 1, milliseconds) != 0 }
}

/// Whether a socket has something to read within this time, and its other side has not hung up.
pub fn has_input(socket: std::os::fd::RawFd, patience: std::time::Duration) -> bool {
    #[cfg(target_os = "linux")]
    const HANG_UP: libc::c_short = libc::POLLRDHUP;
    #[cfg(not(target_os = "linux"))]
    const HANG_UP: libc::c_short = 0;
    let mut watched = libc::pollfd { fd: socket, events: libc::POLLIN | HANG_UP, revents: 0 };
    let milliseconds = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: poll reads and writes the one struct that it is told of.
    unsafe { libc::poll(&mut watched, 1, milliseconds) == 1 && watched.revents == libc::POLLIN }
}

/// Has a socket watched for hang-ups only, by a poll that watches it already under this name; mio has no word for that.
/// False where it cannot be.
pub fn watch_hang_ups(poll: std::os::fd::RawFd, socket: std::os::fd::RawFd, name: u64) -> bool {
    #[cfg(target_os = "linux")]
    {
        let mut event = libc::epoll_event { events: (libc::EPOLLRDHUP | libc::EPOLLET) as u32, u64: name };
        // SAFETY: epoll_ctl reads the one struct that it is told of, and what is no poll or no socket of it is refused.
        unsafe { libc::epoll_ctl(poll, libc::EPOLL_CTL_MOD, socket, &mut event) == 0 }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (poll, socket, name);
        false
    }
}

/// Whether a socket is open and has nothing to read.
pub fn is_quiet(socket: std::os::fd::RawFd) -> bool {
    let (mut byte, flags) = (0_u8, libc::MSG_PEEK | libc::MSG_DONTWAIT);
    // SAFETY: recv writes at most the one byte that it is told of.
    let seen = unsafe { libc::recv(socket, (&raw mut byte).cast(), 1, flags) };
    seen < 0 && std::io::Error::last_os_error().kind() == std::io::ErrorKind::WouldBlock
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
        Some(limit.map_or(machine, |limit: u64| limit.min(machine)).min(data_limit()))
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// What the process may have of memory by its own limit (`ulimit -d`).
#[cfg(target_os = "linux")]
fn data_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: getrlimit writes only the struct given.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_DATA, &mut limit) } == 0;
    // `rlim_t` has 32 bits on some machines.
    #[allow(clippy::useless_conversion)]
    if known { u64::from(limit.rlim_cur) } else { u64::MAX }
}

/// Fills at most 256 bytes from the kernel's generator. It is asked directly, since the getrandom crate looks this function
/// up by its name, which a static binary has no more, and then opens /dev/urandom, which an empty root has not.
pub(super) fn fill_random(bytes: &mut [u8]) -> std::io::Result<()> {
    loop {
        #[cfg(target_os = "linux")]
        // SAFETY: getrandom writes into the slice at most as many bytes as it has.
        let done = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) } == bytes.len() as isize;
        #[cfg(not(target_os = "linux"))]
        // SAFETY: getentropy writes into the slice as many bytes as it has.
        let done = unsafe { libc::getentropy(bytes.as_mut_ptr().cast(), bytes.len()) } == 0;
        let error = std::io::Error::last_os_error();
        if done || error.kind() != std::io::ErrorKind::Interrupted {
            return if done { Ok(()) } else { Err(error) };
        }
    }
}

/// Bytes below a frame that are left alone: the red zone, and the frames of the calls that follow.
const STACK_MARGIN: usize = 4096;

/// Gives the pages of this thread's stack that are deeper than the caller back to the system. The deepest moment of a
/// request is its parsing and sending; a stream then waits in a shallow loop for minutes, and a thousand of them do so
/// at once. Without this they take 84 MB instead of 60 (docs/performance.md).
#[inline(never)]
pub fn release_stack() {
    #[cfg(target_os = "linux")]
    {
        let frame = 0_u8;
        let here = std::hint::black_box(&raw const frame) as usize;
        let (mut bottom, mut size) = (std::ptr::null_mut(), 0);
        // SAFETY: the attributes are initialised by pthread_getattr_np before they are read, and destroyed once.
        let known = unsafe {
            let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
            libc::pthread_getattr_np(libc::pthread_self(), &mut attributes) == 0 && {
                let known = libc::pthread_attr_getstack(&attributes, &mut bottom, &mut size) == 0;
                libc::pthread_attr_destroy(&mut attributes);
                known
            }
        };
        // SAFETY: sysconf takes an integer and returns one.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
        let end = (here - STACK_MARGIN) & !(page - 1);
        let is_own = known && (bottom as usize..bottom as usize + size).contains(&end);
        if is_own {
            // SAFETY: the pages lie in this thread's own stack, below every live frame; what is there is never read
            // again.
            unsafe { libc::madvise(bottom, end - bottom as usize, libc::MADV_DONTNEED) };
        }
    }
}

/// Resident memory of this process in bytes; 0 where /proc does not tell.
pub fn resident_memory() -> u64 {
    let Ok(statm) = std::fs::read_to_string("/proc/self/statm") else { return 0 };
    let pages: u64 = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    // SAFETY: sysconf takes an integer and returns one.
    let page_size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages * u64::try_from(page_size).unwrap_or(4096)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_released_stack_is_less_and_still_works() {
        #[inline(never)]
        fn deep(bytes: &mut [u8]) -> usize {
            let mut own = [1_u8; 96 * 1024];
            std::hint::black_box(&mut own);
            bytes.len() + own.iter().map(|byte| usize::from(*byte)).sum::<usize>()
        }
        let run = || {
            let mut live = [7_u8; 20_000];
            let begun = deep(&mut live);
            let before = stack_of_this_thread();
            release_stack();
            let after = stack_of_this_thread();
            assert!(live.iter().all(|byte| *byte == 7), "live frames are left alone");
            assert_eq!(deep(&mut live), begun);
            (before, after)
        };
        let (before, after) = std::thread::Builder::new().stack_size(512 * 1024).spawn(run).unwrap().join().unwrap();
        assert!(before >= 96 && after <= before - 80, "{before} KiB before, {after} KiB after");
    }

    /// Resident KiB of the mapping that holds this frame.
    fn stack_of_this_thread() -> u64 {
        let frame = 0_u8;
        let here = std::hint::black_box(&raw const frame) as u64;
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut is_own = false;
        for line in maps.lines() {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let bound = |text| u64::from_str_radix(text, 16);
            if let Some((Ok(begin), Ok(end))) = range.map(|(begin, end)| (bound(begin), bound(end))) {
                is_own = (begin..end).contains(&here);
            } else if is_own && let Some(rest) = line.strip_prefix("Rss:") {
                return rest.trim().trim_end_matches(" kB").parse().unwrap();
            }
        }
        panic!("no mapping holds the stack");
    }
}
