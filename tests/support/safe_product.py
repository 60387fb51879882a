"""Small fake Sentinel-2 Level-2A products, laid out and described as ESA's."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine

EPSG, LEFT, TOP = 32651, 300000, 2700000
BANDS = {"red": "B04", "green": "B03", "blue": "B02", "nir": "B08"}
PRODUCT = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-2A_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-2A.xsd">
<n1:General_Info>
<Product_Info>
<PRODUCT_START_TIME>{time}</PRODUCT_START_TIME><PRODUCT_URI>{name}</PRODUCT_URI>
<PRODUCT_TYPE>{kind}</PRODUCT_TYPE><PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
<Product_Organisation><Granule_List><Granule>{images}</Granule></Granule_List></Product_Organisation>
</Product_Info>
<Product_Image_Characteristics><QUANTIFICATION_VALUES_LIST>
<BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE></QUANTIFICATION_VALUES_LIST>{offsets}
</Product_Image_Characteristics></n1:General_Info></n1:Level-2A_User_Product>
"""
TILE = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-2A_Tile_ID xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI_Level-2A_Tile_Metadata.xsd">
<n1:Geometric_Info><Tile_Geocoding><HORIZONTAL_CS_CODE>EPSG:{epsg}</HORIZONTAL_CS_CODE>
<Size resolution="10"><NROWS>{rows}</NROWS><NCOLS>{cols}</NCOLS></Size>
<Size resolution="20"><NROWS>{half_rows}</NROWS><NCOLS>{half_cols}</NCOLS></Size>
<Geoposition resolution="20"><ULX>0</ULX><ULY>0</ULY><XDIM>20</XDIM><YDIM>-20</YDIM></Geoposition>
<Geoposition resolution="10"><ULX>{left}</ULX><ULY>{top}</ULY><XDIM>10</XDIM><YDIM>-10</YDIM></Geoposition>
</Tile_Geocoding><Tile_Angles><Mean_Sun_Angle>
<ZENITH_ANGLE unit="deg">{zenith}</ZENITH_ANGLE></Mean_Sun_Angle></Tile_Angles>
</n1:Geometric_Info></n1:Level-2A_Tile_ID>
"""

Pixels = npt.NDArray[np.uint16]


def land(offset: int, shape: tuple[int, int] = (128, 120), seed: int = 1) -> dict[str, Pixels]:
    """Forest, soil and water as digital numbers, 10000 * reflectance + `offset`."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(3, p=(0.7, 0.2, 0.1), size=shape)
    reflectance = {
        "blue": (0.025, 0.08, 0.04),
        "green": (0.05, 0.11, 0.05),
        "red": (0.03, 0.15, 0.03),
        "nir": (0.30, 0.22, 0.01),
    }
    noise = rng.normal(1, 0.08, shape)
    return {
        band: (10000 * np.take(levels, kinds) * noise + offset).round().astype(np.uint16)
        for band, levels in reflectance.items()
    }


def write_product(
    folder: Path,
    pixels: dict[str, Pixels],
    *,
    baseline: str = "05.10",
    acquired: str = "2024-04-10T02:25:29.024Z",
    kind: str = "S2MSI2A",
    with_offset: bool | None = None,
    classes: npt.NDArray[np.uint8] | None = None,
    zenith: float = 30.0,
    left: float = LEFT,
    xml: str = "MTD_MSIL2A.xml",
    suffix: str = ".jp2",
) -> Path:
    """Write a SAFE folder; `left` is the easting in MTD_TL.xml, the images lie at LEFT."""
    stamp = acquired[:19].replace("-", "").replace(":", "")
    name = f"S2B_MSIL2A_{stamp}_N{baseline.replace('.', '')}_R046_T51RUH_20240410T045508.SAFE"
    safe = folder / name
    granule = f"GRANULE/L2A_T51RUH_A037047_{stamp}"
    images = {
        BANDS[band]: (f"R10m/T51RUH_{stamp}_{BANDS[band]}_10m", values) for band, values in pixels.items()
    }
    if classes is not None:
        images["SCL"] = (f"R20m/T51RUH_{stamp}_SCL_20m", classes)
    for path, values in images.values():
        write_jp2(safe / granule / "IMG_DATA" / f"{path}{suffix}", values, 10 if "10m" in path else 20)
    with_offset = baseline >= "04.00" if with_offset is None else with_offset
    listed = "".join(f'<BOA_ADD_OFFSET band_id="{i}">-1000</BOA_ADD_OFFSET>' for i in range(13))
    rows, cols = next(iter(pixels.values())).shape
    product = PRODUCT.format(
        time=acquired,
        name=name,
        kind=kind,
        baseline=baseline,
        images="".join(f"<IMAGE_FILE>{granule}/IMG_DATA/{path}</IMAGE_FILE>" for path, _ in images.values()),
        offsets=f"<BOA_ADD_OFFSET_VALUES_LIST>{listed}</BOA_ADD_OFFSET_VALUES_LIST>" if with_offset else "",
    )
    halves = {"half_rows": rows // 2, "half_cols": cols // 2}
    tile = TILE.format(epsg=EPSG, rows=rows, cols=cols, left=left, top=TOP, zenith=zenith, **halves)
    (safe / xml).write_text(product)
    (safe / granule / "MTD_TL.xml").write_text(tile)
    return safe


def write_jp2(path: Path, values: npt.NDArray[np.unsignedinteger], pixel: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, cols = values.shape
    shape = {"width": cols, "height": rows, "count": 1, "dtype": values.dtype}
    place = {"crs": f"EPSG:{EPSG}", "transform": Affine(pixel, 0, LEFT, 0, -pixel, TOP)}
    lossless = {"QUALITY": "100", "REVERSIBLE": "YES"}
    with rasterio.open(path, "w", driver="JP2OpenJPEG", **shape, **place, **lossless) as dataset:
        dataset.write(values, 1)
    path.with_name(path.name + ".aux.xml").unlink(missing_ok=True)


def zipped(safe: Path) -> Path:
    """Zip a SAFE folder as distributors do: stored, under its own name."""
    path = safe.with_suffix(".SAFE.zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(safe.rglob("*")):
            archive.write(file, file.relative_to(safe.parent))
    return path
