//! Images of points under the endomorphism `(x, y) -> (zeta x, y)`, omega times a point.

use pasta_curves::arithmetic::VartimeField;

use crate::affine::{Source, Xy};
use crate::level::Level;
use crate::packed::pages;
use crate::parallel;

/// Points whose images a thread makes at a time.
const TOGETHER: usize = 1024;

/// Every point, its image under omega and that under `omega^2`, in room that may have held others before.
pub(crate) fn make<'r, B>(
    level: Level,
    points: Source<'_, B>,
    room: &'r mut Vec<Xy<B>>,
) -> &'r [Xy<B>]
where
    B: ff::WithSmallOrderMulGroup<3> + VartimeField,
{
    let count = 3 * points.len();
    if room.capacity() < count {
        *room = pages::with_capacity(count);
    }
    if room.len() < count {
        room.resize(count, Xy::IDENTITY);
    }
    let images = &mut room[..count];
    #[cfg(target_arch = "x86_64")]
    if let Some(prime) = level.prime() {
        let words = match points {
            Source::Points(points) => prime.points(points),
            Source::Words(_, words) => words,
        };
        let parts = prime.points_mut(images).chunks_mut(3 * TOGETHER);
        parallel::each(words.chunks(TOGETHER).zip(parts), |(words, images)| {
            crate::packed::images::images(prime, words, B::ZETA, images);
        });
        return images;
    }
    let _ = level;
    let (points, parts) = (points.points(), images.chunks_mut(3 * TOGETHER));
    parallel::each(points.chunks(TOGETHER).zip(parts), |(points, images)| {
        let images = images.as_chunks_mut::<3>().0.iter_mut();
        for (images, point) in images.zip(points) {
            let turned = point.x * B::ZETA;
            let all = [point.x, turned, -(point.x + turned)];
            *images = all.map(|x| Xy { x, y: point.y });
        }
    });
    images
}

/// Points in place times omega, once or twice.
pub(crate) fn turn<B>(level: Level, points: &mut [Xy<B>], times: usize)
where
    B: ff::WithSmallOrderMulGroup<3> + VartimeField,
{
    let by = if times == 1 {
        B::ZETA
    } else {
        B::ZETA.square()
    };
    #[cfg(target_arch = "x86_64")]
    if let Some(prime) = level.prime() {
        return crate::packed::images::turn(prime, prime.points_mut(points), by);
    }
    let _ = level;
    points.iter_mut().for_each(|point| point.x *= by);
}
