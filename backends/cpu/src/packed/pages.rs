//! Large pages for large vectors: a fresh page of 4 KiB costs about 2 us in a virtual machine, and points that are gathered from
//! all over 64 MiB miss the translations of small pages. The system is asked, and may decline.

/// Bytes from which a vector is worth it: two pages, so that one lies inside.
#[cfg(target_os = "linux")]
const LEAST: usize = 4 << 20;

/// A vector with room for so many items, in large pages if it is of 4 MiB or more and the system (Linux) gives them when asked: for points of
/// [`msm`](zkernel_backend::Backend::msm), which are read at random if scalars are of 16 bits, and for columns of many rows.
#[must_use]
pub fn in_large_pages<T>(items: usize) -> Vec<T> {
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

/// Most bytes that are made ready: what the allocator's part of a thread holds.
const MOST: usize = 48 << 20;

/// Bytes that are made ready together: blocks above 32 MiB never come from what is kept.
const PIECE: usize = 8 << 20;

/// Makes so many bytes ready for this thread, 48 MiB at most, and has the process keep memory that it frees: allocations after this
/// find pages that are mapped already. For programs that prove soon and not often; elsewhere than with the GNU C library, nothing.
pub fn reserve(bytes: usize) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: sets how the allocator works from now on; values are in the range that it documents.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
            libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
        }
        let piece = |start: usize| {
            let mut room: Vec<u8> = in_large_pages(PIECE.min(bytes.min(MOST) - start));
            for byte in room.spare_capacity_mut().iter_mut().step_by(1 << 12) {
                byte.write(0);
            }
            room
        };
        let pieces: Vec<Vec<u8>> = (0..bytes.min(MOST)).step_by(PIECE).map(piece).collect();
        // Otherwise nobody would see that anything was written.
        core::hint::black_box(pieces);
    }
    let _ = (bytes, MOST, PIECE);
}

#[cfg(test)]
mod tests {
    use super::{in_large_pages, reserve};

    #[test]
    fn allocations_after_a_reservation_hold_what_is_written() {
        for bytes in [0, 1, 1 << 20, usize::MAX] {
            reserve(bytes);
            let vectors: Vec<Vec<u64>> = (0..64).map(|i| vec![i; 1 << 14]).collect();
            let all = vectors.iter().zip(0..);
            assert!(
                all.flat_map(|(v, i)| v.iter().map(move |x| (x, i)))
                    .all(|(x, i)| *x == i)
            );
        }
    }

    #[test]
    fn rooms_of_all_sizes_hold_their_items() {
        for items in [0, 1, 1000, 1 << 19, (1 << 20) + 7] {
            let mut room = in_large_pages::<u64>(items);
            assert!(room.capacity() >= items);
            room.extend(0..items as u64);
            assert!(room.iter().enumerate().all(|(i, item)| *item == i as u64));
        }
    }
}
