"""Selection of images for an event: chosen and rejected ones, reasons, and files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landslide_map.errors import Notice
from landslide_map.search.area import Area
from landslide_map.search.candidates import Asset, Rejected
from landslide_map.search.choose_optical import OpticalChoice, Ranked
from landslide_map.search.choose_radar import Pass, RadarChoice, Track
from landslide_map.search.clouds import optical_file
from landslide_map.search.download import Download, file_name
from landslide_map.search.event_time import EventTime

SHOWN: int = 15
"""Images that were not taken and are shown; selection.json has all."""


@dataclass(frozen=True)
class Selection:
    """The answer of a search."""

    event: EventTime
    area: Area
    catalogues: tuple[str, ...]
    optical: OpticalChoice
    radar: RadarChoice
    unusable: tuple[Rejected, ...]
    """Items that could not be candidates."""
    elevation: tuple[str, ...]
    """Tiles of the elevation model; empty where there is none, or none was wanted."""
    notices: tuple[Notice, ...]
    hosts: tuple[str, ...]

    @property
    def rejected(self) -> list[Rejected]:
        """Everything that was not taken, once each."""
        every = (*self.optical.rejected, *self.radar.rejected, *self.unusable)
        return list({one.id: one for one in every}.values())

    @property
    def images(self) -> Iterator[tuple[str, Ranked]]:
        """``post`` and ``pre`` -> Sentinel-2 image, those that were chosen."""
        for side, ranked in (("post", self.optical.post), ("pre", self.optical.pre)):
            if ranked is not None:
                yield side, ranked

    @property
    def passes(self) -> Iterator[tuple[Track, str, Pass]]:
        """Track, ``pre`` or ``post``, and pass, in the order of scene.yaml."""
        for track in self.radar.tracks.values():
            for side, passes in (("pre", track.pre), ("post", track.post)):
                for one in sorted(passes, key=lambda p: p.start):
                    yield track, side, one

    def downloads(self, folder: Path, *, image_before: bool) -> list[Download]:
        """Return the files of the chosen images that are not on this machine.

        Parameters
        ----------
        folder : Path
        image_before : bool
            Also those of the Sentinel-2 image before the event, which no map needs.
        """
        found = []
        for side, ranked in self.images:
            if side == "post" or image_before:
                for band, asset in ranked.image.assets.items():
                    found.append(_download(asset, optical_file(folder, ranked.image, band)))
        for _, _, one in self.passes:
            for piece in one.slices:
                for band, asset in piece.assets.items():
                    found.append(_download(asset, radar_file(folder, piece.product, band, asset)))
        return [one for one in found if one.url.startswith(("http://", "https://"))]

    def as_json(self) -> dict[str, Any]:
        """Return the selection for ``selection.json``: no address with a key in it."""
        return {
            "event_time": f"{self.event.time:%Y-%m-%dT%H:%M:%SZ}",
            "uncertainty_hours": self.event.uncertainty.total_seconds() / 3600,
            "area": self.area.geojson(),
            "catalogues": list(self.catalogues),
            "hosts": list(self.hosts),
            "sentinel2": {side: _optical_json(ranked) for side, ranked in self.images},
            "sentinel1": {state: _track_json(track) for state, track in self.radar.tracks.items()},
            "runners_up": {
                state: {"relative_orbit": track.relative_orbit, "covered": round(track.covered, 3)}
                for state, track in self.radar.runners_up.items()
            },
            "elevation": list(self.elevation),
            "rejected": [{"id": one.id, "reason": one.reason} for one in self.rejected],
            "notices": [{"code": n.code, "message": n.message} for n in self.notices],
        }

    def table(self) -> list[str]:
        """Return lines with the images chosen, those rejected, and why."""
        lines = ["taken:"]
        for side, ranked in self.images:
            image, clear = ranked.image, ranked.clearness
            counted = "the area" if clear.counted else "the tile"
            lines.append(
                f"  Sentinel-2 {side:4}  {image.start:%Y-%m-%d %H:%M}  {image.product}  "
                f"({ranked.days:.1f} days, {clear.cloud:.0f} % cloud of {counted}, "
                f"covers {ranked.covered:.0%})"
            )
        for track, side, one in self.passes:
            first = one.first
            slices = f", {len(one.slices)} slices" if len(one.slices) > 1 else ""
            lines.append(
                f"  Sentinel-1 {side:4}  {one.start:%Y-%m-%d %H:%M}  {first.platform} {track.name} "
                f"({self.event.days(one.start):.1f} days, {first.family}{slices}, covers {one.covered:.0%})"
            )
        if self.elevation:
            lines.append(f"  elevation        {len(self.elevation)} tiles of Copernicus GLO-30")
        for state, track in self.radar.runners_up.items():
            lines.append(f"  next best {state}: track {track.relative_orbit}, covers {track.covered:.0%}")
        rejected = self.rejected
        if rejected:
            lines.append("not taken:")
            lines += [f"  {one.id}: {one.reason}" for one in rejected[:SHOWN]]
        if len(rejected) > SHOWN:
            lines.append(f"  and {len(rejected) - SHOWN} more, in selection.json")
        return lines


def radar_file(folder: Path, product: str, band: str, asset: Asset) -> Path:
    """Return where a band of a Sentinel-1 product is kept, or the file on this machine."""
    if not asset.href.startswith(("http://", "https://")):
        return Path(asset.href)
    name = file_name(asset.href)
    return folder / "sentinel1" / file_name(product) / (name if band in name.lower() else f"{band}_{name}")


def _download(asset: Asset, target: Path) -> Download:
    return Download(asset.href, target, asset.size, asset.checksum)


def _optical_json(ranked: Ranked) -> dict[str, Any]:
    image = ranked.image
    return {
        "id": image.id,
        "catalogue": image.catalogue,
        "product": image.product,
        "time": f"{image.start:%Y-%m-%dT%H:%M:%SZ}",
        "cloud": round(ranked.clearness.cloud, 1),
        "cloud_counted_in_area": ranked.clearness.counted,
        "covered": round(ranked.covered, 3),
        "cost": round(ranked.cost, 1),
        "checksums": {band: asset.checksum for band, asset in image.assets.items()},
    }


def _track_json(track: Track) -> dict[str, Any]:
    return {
        "relative_orbit": track.relative_orbit,
        "family": track.family,
        "covered": round(track.covered, 3),
        "days_after_searched": track.days,
        "pre": [_pass_json(one) for one in track.pre],
        "post": [_pass_json(one) for one in track.post],
    }


def _pass_json(one: Pass) -> dict[str, Any]:
    return {
        "time": f"{one.start:%Y-%m-%dT%H:%M:%SZ}",
        "platform": one.first.platform,
        "absolute_orbit": one.first.absolute_orbit,
        "covered": round(one.covered, 3),
        "slices": [
            {"id": s.id, "checksums": {band: asset.checksum for band, asset in s.assets.items()}}
            for s in one.slices
        ],
    }
