"""Random fields: the common texture of terrain, cover and speckle."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float64]


def power_law_field(
    shape: tuple[int, int], rng: np.random.Generator, *, exponent: float, longest: float
) -> Field:
    """Return a periodic Gaussian field, mean 0 and standard deviation 1.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    exponent : float
        The amplitude spectrum falls as ``frequency ** -exponent`` (1 rough, 2 smooth).
    longest : float
        Wavelengths longer than this many pixels are flattened off.
    """
    fy = np.fft.fftfreq(shape[0])[:, None]
    fx = np.fft.rfftfreq(shape[1])[None, :]
    amplitude = (fy**2 + fx**2 + (1 / longest) ** 2) ** (-exponent / 2)
    amplitude[0, 0] = 0
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(shape)) * amplitude, s=shape)
    return np.asarray((field - field.mean()) / field.std())


def smoothstep(values: Field, low: float, high: float) -> Field:
    """Return 0 below `low`, 1 above `high`, and a smooth ramp between."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
