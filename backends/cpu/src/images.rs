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

#[cfg(test)]
mod tests {
    use ff::WithSmallOrderMulGroup as _;
    use pasta_curves::Fq;

    use super::*;
    use crate::classes::tests::points;

    /// Of whole octets and of others, points in lines of their own and where a curve's lie; what follows stays as it was.
    #[test]
    fn images_are_multiples_of_omega() {
        let all = points(43);
        for level in Level::of_this_machine() {
            let own = Xy::all(level, &all);
            for range in [0..0, 0..1, 2..9, 0..8, 3..20, 11..43] {
                let sources = [Source::of(level, &all), Some(Source::Points(&own))];
                for source in sources.into_iter().flatten() {
                    let mut images = vec![Xy::IDENTITY; 3 * range.len() + 1];
                    let (to, after) = images.split_at_mut(3 * range.len());
                    make(level, source, range.clone(), to);
                    assert!(after[0].is_identity());
                    for (images, point) in to.chunks(3).zip(&own[range.clone()]) {
                        let mut x = point.x;
                        for image in images {
                            assert_eq!((image.x, image.y), (x, point.y), "{level:?} {range:?}");
                            x *= Fq::ZETA;
                        }
                    }
                }
            }
        }
    }
}
