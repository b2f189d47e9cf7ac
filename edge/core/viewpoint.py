"""Whether a camera still looks where it looked: fixed marks of its view, found where they were.

The reference is the median of the first LEARN_LOOKS looks. A mark is a square of it that those
looks all show alike and that resembles nothing in its own neighbourhood: a corner, not an edge,
which could slide along itself, and not what passes. A mark is found again by normalised
correlation, which light does not change. What moves in the view hides or imitates a few of the
marks; a camera that was moved takes all of them along.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Grey = NDArray[np.float32]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Place = Literal["here", "shifted", "elsewhere"]
WIDTH = 160
"""Of the picture that is looked at, in pixels, or less."""
LEARN_LOOKS = 60
MARK = 16
"""The side of a mark in pixels."""
LEAST_MARKS = 12
LEAST_SPREAD = 0.25
"""Of the picture's area: the square in which four fifths of the marks lie, by rows and by columns.
What is parked before the camera while it learns has marks too, and goes."""
OFF = 1.0
"""A mark that stands so many pixels beside its place is not where it was."""
HERE_SHARE, SHIFTED_SHARE, ELSEWHERE_SHARE = 0.4, 0.5, 0.15
_NEAR = 3
_ALIKE = 0.6
_STEADY, _OFTEN = 0.7, 0.8
_TWIN = 0.75
_CONTRAST = 4.0
_SMOOTH = 8
_FAR = 0.35
_AGREE = 2.0
_CLEAR = 2.0
_CLEAR_SHARE = 0.3
MEAN_LOOKS = 12
"""By night the mean of so many looks is looked at, which has a third of their noise."""
_FAINT = 0.6
RETRY = 60
"""Where the first minute shows too few marks, one look in so many is learned from: what came later
shall have stayed for an hour before it is taken for the view."""
RENEW_LOOKS = 600
"""After so many further looks of which most are here the marks are chosen anew."""


@dataclass(frozen=True, slots=True)
class View:
    """A picture that is known, flattened, and (top, left) of its marks."""

    picture: Grey
    marks: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class _Match:
    """Where the marks of a view are in another picture: by mark whether it is `clear` enough
    there to tell, whether it is `alike`, and how far (down, right) it is `off`."""

    clear: Bools
    alike: Bools
    off: Floats

    @property
    def told(self) -> bool:
        """Whether enough marks can be seen to tell anything."""
        return bool(self.clear.sum() >= max(LEAST_MARKS, _CLEAR_SHARE * len(self.clear)))

    def here(self, crept: Floats) -> Bools:
        """The marks that are in their place, from which the view itself is `crept`."""
        return np.asarray(self.alike & (np.hypot(*(self.off + crept).T) < OFF))

    def share(self, some: Bools) -> float:
        """The share of these marks in those that can be seen."""
        return float(some.sum() / self.clear.sum())


@dataclass(slots=True)
class Viewpoint:
    """Learns the view from LEARN_LOOKS looks; where it has no LEAST_MARKS marks it tries again,
    RETRY times as slowly.

    What is lit changes through the day, so the marks are chosen anew every RENEW_LOOKS: `newest`.
    A camera that sinks slowly shall not be followed: the `first` view is kept, and how far the
    newest one has `crept` from it (down, right) is measured against it whenever it can be
    recognised.
    """

    first: View | None = None
    newest: View | None = None
    crept: Floats = field(default_factory=lambda: np.zeros(2))
    _looks: list[Grey] = field(default_factory=list)
    _recent: deque[Grey] = field(default_factory=lambda: deque(maxlen=MEAN_LOOKS))
    _since: int = 0
    _unlearned: int | None = None

    def look(self, picture: Grey) -> Place | None:
        """Where the camera looks, by `picture`, grey [rows, columns]; None while that is not
        known, or cannot be told."""
        flat = _flattened(picture)
        if self._recent and self._recent[-1].shape != flat.shape:
            self._recent.clear()
        before = self._recent[-1] if self._recent else None
        self._recent.append(flat)
        if self.first is None or self.first.picture.shape != flat.shape:
            self._learn(flat)
            return None
        if before is None:
            return None
        place = self._judged(self.first, flat, flat - before)
        if place == "here":
            self._keep(flat)
        return self._faint(self.first) if place is None else place

    def _faint(self, first: View) -> Place | None:
        """What the mean of the last looks shows, where one look was not enough. What is only not
        to be found in it proves nothing: by another light much looks different."""
        if len(self._recent) < MEAN_LOOKS:
            return None
        looks = np.array(self._recent)
        # With every other sign they are as noisy, and what stands still goes.
        noise = (looks[::2].sum(axis=0) - looks[1::2].sum(axis=0)) / MEAN_LOOKS
        place = self._judged(first, looks.mean(axis=0), noise * np.float32(np.sqrt(2)), _FAINT)
        return None if place == "elsewhere" else place

    def _judged(
        self, first: View, flat: Grey, change: Grey, least: float = _CONTRAST / 2
    ) -> Place | None:
        if self.newest is None:
            return _place(first, np.zeros(2), flat, change, least)
        place = _place(self.newest, self.crept, flat, change, least)
        # It may look again as it did then, with the light back on.
        if place != "here" and _place(first, np.zeros(2), flat, change, least) == "here":
            return "here"
        return place

    def _learn(self, flat: Grey) -> None:
        if self._unlearned is not None:
            self._unlearned += 1
            if self._unlearned % RETRY:
                return
        if self._looks and self._looks[0].shape != flat.shape:
            self._looks.clear()
        self._looks.append(flat)
        if len(self._looks) == LEARN_LOOKS:
            self.first, self.newest, self.crept = _view(self._looks), None, np.zeros(2)
            self._unlearned = 0 if self.first is None else None
            self._looks.clear()

    def _keep(self, flat: Grey) -> None:
        """Gathers looks for the next choice of marks."""
        self._since += 1
        if self._since % (RENEW_LOOKS // LEARN_LOOKS):
            return
        self._looks.append(flat)
        if len(self._looks) == LEARN_LOOKS:
            self._renew(_view(self._looks))
            self._looks.clear()

    def _renew(self, new: View | None) -> None:
        old = self.newest or self.first
        if new is None or old is None or self.first is None:
            return
        still = np.zeros_like(new.picture)
        found = _match(self.first, new.picture, still)
        if found.told and found.share(found.alike) >= HERE_SHARE:
            self.crept = np.median(found.off[found.alike], axis=0)
        else:
            found = _match(old, new.picture, still)
            here = found.here(self.crept)
            if here.any():
                self.crept = self.crept + np.median(found.off[here], axis=0)
        self.newest = new


def view_of(picture: NDArray[Any], marks: NDArray[Any]) -> View | None:
    """A view that was kept; None where it cannot be one."""
    if picture.ndim != 2 or marks.ndim != 2 or marks.shape[1] != 2 or len(marks) < LEAST_MARKS:
        return None
    known = View(picture.astype(np.float32), marks.astype(np.intp))
    room = np.array(picture.shape) - MARK - known.marks.max(axis=0)
    inside = known.marks.min() >= 0 and room.min() >= 0
    return known if inside and np.isfinite(known.picture).all() else None


def _view(looks: list[Grey]) -> View | None:
    picture = np.median(looks, axis=0).astype(np.float32)
    marks = _marks(picture, looks)
    if len(marks) < LEAST_MARKS:
        return None
    low, high = np.quantile(marks, (0.1, 0.9), axis=0)
    spread = np.prod((high - low + MARK) / np.array(picture.shape))
    return View(picture, marks) if spread >= LEAST_SPREAD else None


def _place(view: View, crept: Floats, flat: Grey, change: Grey, least: float) -> Place | None:
    """Where the camera looks, by a view that is `crept` from the first one, and by the `change`
    since the look before. What is to be seen has a contrast of `least`."""
    found = _match(view, flat, change, least)
    if not found.told:
        return None
    here = found.here(crept)
    if found.share(here) >= HERE_SHARE:
        return "here"
    if _together(found, here) or _far(view, flat, change, least):
        return "shifted"
    return "elsewhere" if found.share(here) < ELSEWHERE_SHARE else None


def _match(
    view: View,
    flat: Grey,
    change: Grey,
    least: float = _CONTRAST / 2,
    jump: tuple[int, int] = (0, 0),
) -> _Match:
    """The marks near `jump` in `flat`. Where the `change` since the look before is as large as what
    is seen, by noise or rain or because something moves, nothing is to be seen."""
    found = _correlations(view, flat, jump)
    flatly = found.reshape(len(found), -1)
    at = np.stack(np.unravel_index(flatly.argmax(axis=1), found.shape[1:]), axis=1)
    off = at - _NEAR + np.array(jump) + _between(found, at)
    noise = _contrast(change, view.marks) / np.sqrt(2)
    clear = _contrast(flat, view.marks) >= np.maximum(least, _CLEAR * noise)
    return _Match(clear, clear & (flatly.max(axis=1) >= _ALIKE), off)


def _far(view: View, flat: Grey, change: Grey, least: float) -> bool:
    """Whether the marks are found together further away."""
    jump = _jump(view.picture, flat)
    if max(abs(jump[0]) / flat.shape[0], abs(jump[1]) / flat.shape[1]) > _FAR:
        return False
    found = _match(view, flat, change, least, jump)
    return _together(found, np.zeros(len(view.marks), bool))


def _together(found: _Match, here: Bools) -> bool:
    """Whether enough marks are beside their places, and as those of one turned, shifted or nearer
    picture would be: most of them agree with the median."""
    away = found.alike & ~here
    if away.sum() < LEAST_MARKS / 2 or found.share(away) < SHIFTED_SHARE:
        return False
    middle = np.median(found.off[away], axis=0)
    agree = away & (np.hypot(*(found.off - middle).T) <= _AGREE)
    return found.share(agree) >= SHIFTED_SHARE


def _flattened(picture: Grey) -> Grey:
    """The picture without what changes slowly over it, as light does: less its mean over a square
    of 2 _SMOOTH + 1 pixels."""
    padded = np.pad(picture.astype(np.float64), _SMOOTH + 1, mode="edge")
    sums = padded.cumsum(axis=0).cumsum(axis=1)
    side = 2 * _SMOOTH + 1
    box = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    mean = box[: picture.shape[0], : picture.shape[1]] / side**2
    return np.asarray(picture - mean, np.float32)


def _marks(reference: Grey, looks: list[Grey]) -> NDArray[np.intp]:
    """(top, left) of the squares that may be marks."""
    rows, columns = reference.shape
    edge = _NEAR
    tops = range(edge, rows - MARK - edge + 1, MARK * 3 // 4)
    lefts = range(edge, columns - MARK - edge + 1, MARK * 3 // 4)
    grid = np.array([(top, left) for top in tops for left in lefts], np.intp).reshape(-1, 2)
    grid = np.asarray(grid[_contrast(reference, grid) >= _CONTRAST])
    if not len(grid):
        return grid
    same = _correlations(View(reference, grid), reference)
    y, x = np.indices(same.shape[1:]) - _NEAR
    same[:, np.hypot(y, x) < 2] = -1
    grid = np.asarray(grid[same.max(axis=(1, 2)) < _TWIN])
    if not len(grid):
        return grid
    view = View(reference, grid)
    seen = [_correlations(view, look)[:, _NEAR, _NEAR] for look in looks]
    often = (np.array(seen) >= _STEADY).mean(axis=0) >= _OFTEN
    return np.asarray(grid[often])


def _contrast(flat: Grey, marks: NDArray[np.intp]) -> Floats:
    return np.array([flat[t : t + MARK, le : le + MARK].std() for t, le in marks.tolist()])


def _correlations(view: View, flat: Grey, jump: tuple[int, int] = (0, 0)) -> Floats:
    """Of each mark with what is `jump` beside it, and up to _NEAR pixels around that:
    [mark, 2 _NEAR + 1, 2 _NEAR + 1]. What lies outside of the picture is like nothing."""
    marks = view.marks
    padded = np.pad(flat, MARK + _NEAR)
    squares = sliding_window_view(view.picture, (MARK, MARK))[marks[:, 0], marks[:, 1]]
    wide = MARK + 2 * _NEAR
    limit = np.array(padded.shape) - wide
    at = np.clip(marks + np.array(jump) + MARK, 0, limit)
    areas = sliding_window_view(padded, (wide, wide))[at[:, 0], at[:, 1]]
    windows = sliding_window_view(areas, (MARK, MARK), axis=(1, 2)).reshape(
        len(marks), (2 * _NEAR + 1) ** 2, MARK * MARK
    )
    wanted = squares.reshape(len(marks), MARK * MARK, 1)
    wanted = wanted - wanted.mean(axis=1, keepdims=True)
    size = np.linalg.norm(wanted, axis=1) * np.sqrt(MARK * MARK) * windows.std(axis=2)
    found = (windows @ wanted)[:, :, 0] / np.maximum(size, 1e-6)
    return np.asarray(found.reshape(-1, 2 * _NEAR + 1, 2 * _NEAR + 1), np.float64)


def _between(found: Floats, at: NDArray[np.intp]) -> Floats:
    """Where the top of a parabola through the best and its neighbours lies, from the best."""
    each = np.arange(len(at))
    inner = np.clip(at, 1, 2 * _NEAR - 1)
    (y, x), (row, column) = inner.T, at.T
    here = found[each, row, column]
    down = _top(found[each, y - 1, column], here, found[each, y + 1, column])
    right = _top(found[each, row, x - 1], here, found[each, row, x + 1])
    return np.where(inner == at, np.stack([down, right], axis=1), 0.0)


def _top(before: Floats, here: Floats, after: Floats) -> Floats:
    bend = before - 2 * here + after
    return np.where(bend < 0, (before - after) / (2 * np.minimum(bend, -1e-9)), 0.0)


def _jump(reference: Grey, flat: Grey) -> tuple[int, int]:
    """By how many pixels (down, right) `flat` is moved, if it is moved as a whole: by phase
    correlation."""
    window = np.outer(np.hanning(flat.shape[0]), np.hanning(flat.shape[1]))
    cross = np.fft.rfft2(flat * window) * np.conj(np.fft.rfft2(reference * window))
    peak = np.fft.irfft2(cross / np.maximum(np.abs(cross), 1e-9), flat.shape)
    down, right = np.unravel_index(int(peak.argmax()), peak.shape)
    rows, columns = flat.shape
    return (
        int(down) - rows * (down > rows // 2),
        int(right) - columns * (right > columns // 2),
    )
