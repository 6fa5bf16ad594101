//! Images of points under the endomorphism `(x, y) -> (zeta x, y)`, omega times a point.

use core::ops::Range;

use pasta_curves::arithmetic::VartimeField;

use crate::affine::{Source, Xy};
use crate::level::Level;

/// Some of the points, each followed by its image under omega and that under `omega^2`.
pub(crate) fn make<B>(
    level: Level,
    points: Source<'_, B>,
    range: Range<usize>,
    images: &mut [Xy<B>],
) where
    B: ff::WithSmallOrderMulGroup<3> + VartimeField,
{
    #[cfg(target_arch = "x86_64")]
    if let Some(prime) = level.prime() {
        let words = match points {
            Source::Points(points) => prime.points(points),
            Source::Words(_, words) => words,
        };
        let images = prime.points_mut(images);
        return crate::packed::images::images(prime, &words[range], B::ZETA, images);
    }
    let _ = level;
    let points = points.points();
    let images = images.as_chunks_mut::<3>().0.iter_mut();
    for (images, point) in images.zip(&points[range]) {
        let turned = point.x * B::ZETA;
        let all = [point.x, turned, -(point.x + turned)];
        *images = all.map(|x| Xy { x, y: point.y });
    }
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
