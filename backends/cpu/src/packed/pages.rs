//! Large pages for large vectors: a fresh page of 4 KiB costs about 2 us in a virtual machine, and points that are gathered from
//! all over 64 MiB miss the translations of small pages. The system is asked, and may decline.

/// Bytes from which a vector is worth it: two pages, so that one lies inside.
#[cfg(target_os = "linux")]
const LEAST: usize = 4 << 20;

/// A vector with room for so many items, in large pages if it is large.
pub(crate) fn with_capacity<T>(items: usize) -> Vec<T> {
    #[allow(unused_mut)]
    let mut room = Vec::with_capacity(items);
    #[cfg(target_os = "linux")]
    advise(&mut room);
    room
}

#[cfg(target_os = "linux")]
fn advise<T>(room: &mut Vec<T>) {
    let spare = room.spare_capacity_mut();
    let bytes = size_of_val(spare);
    if bytes < LEAST {
        return;
    }
    // SAFETY: no result, no failure that matters; asks for a constant of the system.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(1 << 12);
    let start = spare.as_mut_ptr().cast::<u8>();
    let skipped = start.align_offset(page).min(bytes);
    let length = (bytes - skipped) / page * page;
    // SAFETY: whole pages inside the vector's own room. The advice changes how they are mapped, never what is in them;
    // a system without large pages refuses it.
    unsafe { libc::madvise(start.add(skipped).cast(), length, libc::MADV_HUGEPAGE) };
}

#[cfg(test)]
mod tests {
    use super::with_capacity;

    #[test]
    fn rooms_of_all_sizes_hold_their_items() {
        for items in [0, 1, 1000, 1 << 19, (1 << 20) + 7] {
            let mut room = with_capacity::<u64>(items);
            assert!(room.capacity() >= items);
            room.extend(0..items as u64);
            assert!(room.iter().enumerate().all(|(i, item)| *item == i as u64));
        }
    }
}
