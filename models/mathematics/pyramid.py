"""The Laplacian pyramid's two operators as per-axis matrices (LAPGAN, section 2.2).

Reducing averages over fractional areas, enlarging is bilinear with aligned corners, as in the scaler of the LAPGAN
authors' code. A matrix an axis is exact, differentiable, and the same numbers in NumPy, PyTorch and an exported graph;
it also handles steps such as 8 -> 14 and 64 -> 96.
"""

from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
TINY = np.float32(1e-12)
ALTERNATIONS = 50  # rounds of projecting and clipping where the blocks overlap


@lru_cache(maxsize=256)
def reduce_matrix(source: int, target: int) -> Matrix:
    """[target, source]: each output pixel is the mean of the stretch of input pixels it covers. Rows sum to 1."""
    edges = np.arange(target + 1, dtype=np.float64) * source / target
    left, right = edges[:-1, None], edges[1:, None]
    pixel = np.arange(source, dtype=np.float64)[None]
    overlap = np.clip(np.minimum(right, pixel + 1) - np.maximum(left, pixel), 0, None)
    return _frozen(overlap / overlap.sum(1, keepdims=True))


@lru_cache(maxsize=256)
def enlarge_matrix(source: int, target: int) -> Matrix:
    """[target, source]: bilinear interpolation, corner pixels on corner pixels. Rows sum to 1."""
    matrix = np.zeros((target, source), np.float64)
    scale = (source - 1) / (target - 1) if target > 1 else 0.0
    position = np.arange(target) * scale
    low = np.minimum(position.astype(int), max(source - 2, 0))
    fraction = position - low
    rows = np.arange(target)
    matrix[rows, low] += 1 - fraction
    matrix[rows, np.minimum(low + 1, source - 1)] += fraction
    return _frozen(matrix)


def _frozen(matrix: NDArray[np.float64]) -> Matrix:
    result = matrix.astype(np.float32)
    result.setflags(write=False)
    return result


def apply(rows: Matrix, columns: Matrix, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Both axes of [..., height, width]: rows @ image @ columns.T."""
    return np.asarray(rows @ image @ columns.T, np.float32)


def reduce(image: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Shrink [..., h, w] to [..., height, width] by area averaging."""
    return apply(reduce_matrix(image.shape[-2], height), reduce_matrix(image.shape[-1], width), image)


def enlarge(image: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Grow [..., h, w] to [..., height, width] by corner-aligned bilinear interpolation."""
    return apply(enlarge_matrix(image.shape[-2], height), enlarge_matrix(image.shape[-1], width), image)


def double(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Grow [..., h, w] to [..., 2h, 2w] bilinearly with half-pixel centres, the edge repeated outward.

    The operator of any-size bundles: the same at every place, so a tile gives what the whole picture gives.
    """
    return _double_last(_double_last(image).swapaxes(-1, -2)).swapaxes(-1, -2)


def _double_last(image: NDArray[np.float32]) -> NDArray[np.float32]:
    left = np.concatenate([image[..., :1], image[..., :-1]], -1)
    right = np.concatenate([image[..., 1:], image[..., -1:]], -1)
    pairs = np.stack([0.25 * left + 0.75 * image, 0.75 * image + 0.25 * right], -1)
    return np.asarray(pairs.reshape(*image.shape[:-1], 2 * image.shape[-1]), np.float32)


def build(image: NDArray[np.float32], sizes: list[int]) -> list[NDArray[np.float32]]:
    """[coarsest picture, residual, ..., finest residual] of a square image [..., n, n]; `sizes` rise, the last is n.

    Every coarse picture is the full image reduced straight to its size, as the authors' code does.
    """
    pictures = [reduce(image, size, size) for size in sizes]
    residuals = [fine - enlarge(coarse, fine.shape[-2], fine.shape[-1]) for coarse, fine in pairwise(pictures)]
    return [pictures[0], *residuals]


def collapse(levels: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The inverse of `build`: enlarge and add, level by level."""
    picture = levels[0]
    for residual in levels[1:]:
        picture = enlarge(picture, residual.shape[-2], residual.shape[-1]) + residual
    return picture


def faithful(image: NDArray[np.float32], coarse: NDArray[np.float32]) -> NDArray[np.float32]:
    """A picture near `image` [..., H, W], values in -1..1, whose reduction is `coarse` [..., h, w] (also in -1..1).

    First the nearest one in least squares, x + R^T (R R^T)^-1 (coarse - R x), separably; then into the range without
    moving the reduction: exactly where the sizes are whole multiples, else by alternating the two conditions.
    """
    if image.shape[-2] % coarse.shape[-2] == 0 and image.shape[-1] % coarse.shape[-1] == 0:
        return _rescaled_blocks(_projected(image, coarse), coarse)
    for _ in range(ALTERNATIONS):
        image = np.clip(_projected(image, coarse), -1.0, 1.0)
    return image


def _projected(image: NDArray[np.float32], coarse: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, columns = _axes(image, coarse)
    error = coarse - apply(rows, columns, image)
    return image + apply(_pseudo_inverse(*rows.shape[::-1]), _pseudo_inverse(*columns.shape[::-1]), error)


def _rescaled_blocks(image: NDArray[np.float32], coarse: NDArray[np.float32]) -> NDArray[np.float32]:
    """Clip to -1..1, then shrink each block's distances to black (or to white) until its mean is right again."""
    rows, columns = _axes(image, coarse)
    clipped = np.clip(image, -1.0, 1.0)
    mean = apply(rows, columns, clipped)
    darken = (coarse + 1.0) / np.maximum(mean + 1.0, TINY)
    lighten = (1.0 - coarse) / np.maximum(1.0 - mean, TINY)
    high, wide = image.shape[-2] // coarse.shape[-2], image.shape[-1] // coarse.shape[-1]
    too_light, darken, lighten = (
        x.repeat(high, axis=-2).repeat(wide, axis=-1) for x in (mean > coarse, darken, lighten)
    )
    return np.asarray(np.where(too_light, (clipped + 1.0) * darken - 1.0, 1.0 - (1.0 - clipped) * lighten), np.float32)


def _axes(image: NDArray[np.float32], coarse: NDArray[np.float32]) -> tuple[Matrix, Matrix]:
    return reduce_matrix(image.shape[-2], coarse.shape[-2]), reduce_matrix(image.shape[-1], coarse.shape[-1])


@lru_cache(maxsize=256)
def _pseudo_inverse(source: int, target: int) -> Matrix:
    """[source, target]: R^T (R R^T)^-1 of `reduce_matrix(source, target)`; whole multiples just repeat."""
    matrix = reduce_matrix(source, target)
    if source % target == 0:
        return _frozen((matrix.T > 0).astype(np.float64))
    return _frozen(np.linalg.pinv(matrix.astype(np.float64)))
