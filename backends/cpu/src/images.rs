//! Images of points under the endomorphism `(x, y) -> (zeta x, y)`, omega times a point.

use pasta_curves::arithmetic::VartimeField;

use crate::affine::{Source, Xy};
use crate::level::Level;
use crate::packed::pages;

/// Every point, its image under omega and that under `omega^2`.
pub(crate) fn with_images<B>(
    level: Level,
    points: Source<'_, B>,
    mut images: Vec<Xy<B>>,
) -> Vec<Xy<B>>
where
    B: ff::WithSmallOrderMulGroup<3> + VartimeField,
{
    images.clear();
    let room = (3 * points.len()).next_multiple_of(24);
    if images.capacity() < room {
        images = pages::with_capacity(room);
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(prime) = level.prime() {
        let words = match points {
            Source::Points(points) => prime.points(points),
            Source::Words(_, words) => words,
        };
        crate::packed::images::images(prime, words, B::ZETA, &mut images);
        return images;
    }
    let _ = level;
    images.extend(points.points().iter().flat_map(|point| {
        let x = point.x * B::ZETA;
        let other = -(x + point.x);
        [point.x, x, other].map(|x| Xy { x, y: point.y })
    }));
    images
}
