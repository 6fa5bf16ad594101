//! Images of points under the endomorphism `(x, y) -> (zeta x, y)`, omega times a point.

use pasta_curves::arithmetic::VartimeField;

use crate::affine::{Source, Xy};
use crate::level::Level;
use crate::packed::pages;
use crate::parallel;

/// Points that are worth a thread's part.
const TOGETHER: usize = 2048;

/// Points, their images under omega and those under `omega^2`, as many each.
pub(crate) fn with_images<B>(level: Level, points: Source<'_, B>) -> Vec<Xy<B>>
where
    B: ff::WithSmallOrderMulGroup<3> + VartimeField,
{
    let own = points.points();
    let mut all = pages::with_capacity(3 * own.len());
    all.extend_from_slice(&own);
    all.resize(3 * own.len(), Xy::IDENTITY);
    let images = all[own.len()..].chunks_mut(own.len().max(1));
    for (images, factor) in images.zip([B::ZETA, B::ZETA.square()]) {
        let parts = own.chunks(TOGETHER).zip(images.chunks_mut(TOGETHER));
        parallel::each(parts, |(own, images)| scale(level, own, factor, images));
    }
    all
}

/// Points with their x multiplied by a factor, as many.
pub(crate) fn scale<B: ff::PrimeField + VartimeField>(
    level: Level,
    points: &[Xy<B>],
    factor: B,
    images: &mut [Xy<B>],
) {
    #[cfg(target_arch = "x86_64")]
    if let Some(prime) = level.prime() {
        let (points, images) = (prime.points(points), prime.points_mut(images));
        return crate::packed::images::scaled(prime, points, factor, images);
    }
    let _ = level;
    for (image, point) in images.iter_mut().zip(points) {
        let x = point.x * factor;
        *image = Xy { x, y: point.y };
    }
}
