"""Agreement of masks and label images with the truth, in numpy and scipy alone.

Masks are bool (Y, X) arrays, label images integer (Y, X) arrays with 0 as background.
Values lie in [0, 1] and more is better, distances excepted.
"""

from napari_segrefiner.metrics.masks import (
    BAND,
    BETTER,
    WORSE,
    boundary_band,
    boundary_distance,
    boundary_f,
    boundary_iou,
    dice,
    ellipse_half_widths,
    hd95,
    iou,
    mba,
    mba_radii,
    overlap,
)
from napari_segrefiner.metrics.objects import (
    Matching,
    Panoptic,
    aji,
    aji_plus,
    match_at,
    panoptic_quality,
    seg,
)
from napari_segrefiner.metrics.overlaps import (
    Overlaps,
    assign,
    label_depth,
    number,
    overlaps,
)

__all__ = [
    "BAND",
    "BETTER",
    "WORSE",
    "Matching",
    "Overlaps",
    "Panoptic",
    "aji",
    "aji_plus",
    "assign",
    "boundary_band",
    "boundary_distance",
    "boundary_f",
    "boundary_iou",
    "dice",
    "ellipse_half_widths",
    "hd95",
    "iou",
    "label_depth",
    "match_at",
    "mba",
    "mba_radii",
    "number",
    "overlap",
    "overlaps",
    "panoptic_quality",
    "seg",
]
