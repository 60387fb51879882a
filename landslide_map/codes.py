"""The meaning of every code an error or notice can carry; ``docs/error-codes.md`` is made from it."""

from __future__ import annotations

from typing import Final

CODES: Final[dict[str, str]] = {
    "E001": "scene.yaml is missing or is not YAML",
    "E002": "scene.yaml has an unknown key",
    "E003": "scene.yaml has a missing or invalid value",
    "E101": "a file is missing, unreadable or truncated, or lacks the band",
    "E102": "the target grid is not a 10 m projected north-up grid",
    "E103": "a raster has no coordinate reference system",
    "E104": "a raster is rotated or not north-up",
    "E105": "a file has no pixel on the target grid",
    "E106": "a file holds no valid pixel",
    "E107": "the grid cannot be decided from what the scene gives",
    "E108": "the pixels are complex numbers, or only a mask band tells where there is no data",
    "E109": "the bands of one image lie on different grids or are of different times",
    "E120": "the table of window statistics is missing or has another layout",
    "E121": "the table of window statistics has missing or infinite values",
    "E122": "the labels are not 0 and 1, or all the same",
    "E123": "the table of window statistics names a window twice",
    "E130": "the grid is smaller than one window",
    "E140": "windows are missing, unreadable, or not of 64 x 64 pixels and 12 bands",
    "E141": "a window holds missing or infinite pixels",
    "E142": "the IDs of the windows are missing, repeated or do not match the windows",
    "E143": "a window cannot be judged by any member, but a submission needs a label for each",
    "E144": "the labels of windows are missing or unreadable",
    "E145": "no window could be judged by any member",
    "E201": "a Level-1C product was given, Level-2A is needed",
    "E204": "the offset that scene.yaml states is contradicted by the pixels",
    "E205": "reflectance and digital numbers are confused",
    "E206": "Sentinel-2 bands look swapped",
    "E208": "the Sentinel-2 image predates the event",
    "E301": "Sentinel-1 pixels are not backscatter in the declared units, or the units are unknown",
    "E302": "a Sentinel-1 image lies on the wrong side of the event",
    "E303": "an ascending image is listed under descending, or the reverse",
    "E304": "Sentinel-1 images of different tracks are listed together",
    "E305": "Sentinel-1 polarisations are swapped, missing or not VV and VH",
    "E306": "the same Sentinel-1 image is listed twice or on both sides of the event",
    "E309": "when a Sentinel-1 image was taken is unknown",
    "E310": "a Sentinel-1 mosaic mixes orbit directions and dates",
    "E311": "a raster has ground control points but no map projection",
    "E315": "Sentinel-1 images of different radiometry are compared",
    "E316": "files listed as one Sentinel-1 acquisition come from different passes",
    "E320": "a Sentinel-1 GRD or SLC product is not terrain-corrected",
    "E350": "a frequent value is neither declared as nodata nor a known fill value",
    "E390": "a time has no time zone",
    "E401": "the output folder holds a result already",
    "E402": "the command line asks for something that cannot be",
    "E403": "the output folder is in use by another program",
    "E430": "the stride is outside the range of strides",
    "E501": "the bundle is missing or incomplete",
    "E502": "a file of the bundle does not match its hash",
    "E503": "the bundle has another format version",
    "E504": "the bundle has a model file that bundle.json does not list",
    "E505": "bundle.json is not a valid description",
    "E506": "a model file of the bundle cannot be loaded",
    "E510": "the recipe is unknown or invalid",
    "E520": "a folder holds no weights of the published ensemble",
    "E521": "a weight file is not of the architecture that its name says",
    "E522": "a weight file would have to be unpickled",
    "E523": "the bundle has no members for the profile",
    "E524": "a weight file is damaged or given twice",
    "E525": "the bundle has no threshold for the operating point",
    "E526": "the bundle does not say which windows each fold was trained on, or these are others",
    "E601": "the disk is full or not writable",
    "E602": "out of memory",
    "E610": "CUDA was asked for and is absent",
    "E611": "the memory of the graphics card is exhausted",
    "E612": "an optional package is not installed",
    "E999": "an error that landslide-map did not expect: a bug",
    "W141": "windows without data of some sensor are judged by fewer members, or by none",
    "W202": "the Sentinel-2 offset is absent and was added",
    "W203": "Sentinel-2 metadata and pixels disagree about the offset, or neither decides it",
    "W207": "the Sentinel-2 image is mostly cloud or snow",
    "W209": "the Sentinel-2 image was taken long after the event or in low sun",
    "W210": "the Sentinel-2 image is mostly without data",
    "W211": "the Sentinel-2 image lacks a band",
    "W213": "the date of the Sentinel-2 image is unknown or contradicted",
    "W214": "the Sentinel-2 pixels are not 10 m",
    "W301": "Sentinel-1 pixels declared as amplitude look like power",
    "W305": "VV is hardly brighter than VH",
    "W307": "Sentinel-1 products before and after the event are of different kinds",
    "W308": "different Sentinel-1 satellites before and after the event",
    "W312": "Sentinel-1 pixels are coarser than the 10 m of training",
    "W313": "absolute backscatter is outside the training domain",
    "W314": "Sentinel-1 differences are quieter than unfiltered speckle",
    "W316": "the declared radiometry contradicts the product name",
    "W317": "the declared date contradicts the tags or the product name",
    "W318": "orbit direction cannot be verified from the time of day",
    "W319": "a Sentinel-1 image lies outside the training window of 60 days before, 12 days after the event",
    "W340": "a band's distribution is far from the training data",
    "W350": "a frequent value may be clipping or undeclared nodata",
    "W360": "a sensor or track is missing or covers only part of the grid",
    "W520": "a member or fold of the published ensemble is missing",
    "W521": "pickled boosters were left out of an import",
    "W522": "a file is not of the published ensemble and was left out",
    "I212": "Sentinel-2 pixels with zero in some bands only count as missing there",
    "I213": "the Sentinel-2 image has no scene classification (SCL)",
    "I301": "Sentinel-1 units were inferred as dB",
    "I319": "only one Sentinel-1 image before the event",
    "I350": "a known fill value was found in the pixels and is taken as no data",
}

SECTIONS: Final = {
    "E0": "scene.yaml (exit status 3)",
    "E1": "Files, tables and grids (exit status 4)",
    "E2": "Sentinel-2 (exit status 4)",
    "E3": "Sentinel-1 and alignment (exit status 4)",
    "E4": "Command line and output folder (exit status 2)",
    "E5": "Bundles (exit status 5)",
    "E6": "Resources (exit status 6)",
    "E9": "Bugs (exit status 1)",
    "W": "Warnings: the run goes on, read the result with care",
    "I": "For information",
}
"""Prefix of a code -> heading of its section in the documentation."""


def as_markdown() -> str:
    """Return ``docs/error-codes.md``."""
    lines = [
        "# Codes",
        "",
        "What every code means; the message beside it says what was found, what was expected, where, and",
        "what to do. A refusal (`E...`) stops the run and writes nothing; remarks (`W...`, `I...`) are printed,",
        "and kept in `run.json`.",
        "An interrupted run ends with exit status 130 and leaves nothing half-written.",
    ]
    for prefix, title in SECTIONS.items():
        lines += ["", f"## {title}", "", "| code | meaning |", "|---|---|"]
        lines += [
            f"| {code} | {meaning} |" for code, meaning in sorted(CODES.items()) if code.startswith(prefix)
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(as_markdown(), end="")
