"""Where and with which camera a photo is taken: the settings that set one data set apart from another."""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]
"""Least and greatest value; every photo draws its own."""


@dataclass(frozen=True)
class Domain:
    """One collection of photos: when, where and how they were taken."""

    name: str
    collected: tuple[int, int]  # first and last year
    camera: str
    intensity: Range  # how strongly people play their expression, 1 = fully
    side: Range  # pixels of the photo's shorter side
    face: Range  # brow to chin as a share of the shorter side
    roll: float  # standard deviation of the head's turn in radians
    yaw: float
    pitch: float
    lamp_azimuth: float  # standard deviation, radians
    lamp_elevation: Range  # radians
    ambient: Range
    exposure: Range
    warmth: Range  # red times (1 + warmth), blue times (1 - warmth)
    blur: Range  # pixels, standard deviation, at most 1.1
    noise: Range  # grey levels, standard deviation
    colour_noise: Range  # grey levels; blotches a few pixels wide
    quality: tuple[int, int]  # of the JPEG
    clutter: tuple[int, int]  # things in the background
    glasses: float  # share of people
    beard: float


STUDIO = Domain(
    name="studio", collected=(2019, 2020), camera="Studio DSLR", intensity=(0.75, 1.05),
    side=(400, 540), face=(0.34, 0.44), roll=0.04, yaw=0.10, pitch=0.05,
    lamp_azimuth=0.40, lamp_elevation=(0.1, 0.6), ambient=(0.55, 0.72), exposure=(0.92, 1.06),
    warmth=(-0.03, 0.03), blur=(0.15, 0.5), noise=(1.0, 3.0), colour_noise=(0.0, 2.0), quality=(88, 95),
    clutter=(0, 0), glasses=0.12, beard=0.10,
)  # fmt: skip

STREET = Domain(
    name="street", collected=(2023, 2024), camera="Phone", intensity=(0.70, 1.0),
    side=(400, 640), face=(0.28, 0.40), roll=0.08, yaw=0.16, pitch=0.08,
    lamp_azimuth=0.70, lamp_elevation=(-0.1, 0.8), ambient=(0.42, 0.62), exposure=(0.70, 0.95),
    warmth=(0.02, 0.14), blur=(0.45, 0.95), noise=(3.0, 7.0), colour_noise=(3.0, 8.0), quality=(62, 85),
    clutter=(8, 22), glasses=0.20, beard=0.15,
)  # fmt: skip
