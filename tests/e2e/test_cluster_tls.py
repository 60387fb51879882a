"""A cluster that requires certificates: the same bytes, and clients without the right ones are refused."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization
from landslide_map_cli.run import run

from landslide_map.errors import LandslideMapError
from landslide_map.mapping.cluster.connect import connected
from landslide_map.mapping.cluster.tls import TlsFiles
from landslide_map.mapping.map_scene import map_scene
from tests.support.dask_processes import DaskProcesses
from tests.support.forked import Forked
from tests.support.result_files import made
from tests.support.sample_scene import DENSE, cut_sample


def certificates(folder: Path, authority: trustme.CA) -> TlsFiles:
    folder.mkdir()
    certificate = authority.issue_cert("127.0.0.1")
    files = TlsFiles(folder / "ca.pem", folder / "machine.pem", folder / "machine.key")
    authority.cert_pem.write_to_path(files.ca)
    certificate.cert_chain_pems[0].write_to_path(files.certificate)
    certificate.private_key_pem.write_to_path(files.key)
    return files


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return certificates(tmp_path_factory.mktemp("tls") / "ours", trustme.CA())


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """Certificates of another authority."""
    return certificates(tmp_path_factory.mktemp("tls") / "theirs", trustme.CA())


@pytest.fixture(scope="module")
def dask(ours: TlsFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskProcesses]:
    processes = DaskProcesses(tmp_path_factory.mktemp("dask"), fresh=True)
    processes.tls = ours
    with processes:
        processes.worker("a")
        processes.await_workers("a")
        yield processes


def tls_options(files: TlsFiles) -> list[str]:
    return ["--tls-ca", str(files.ca), "--tls-cert", str(files.certificate), "--tls-key", str(files.key)]


def test_a_map_by_tls_has_the_same_bytes(dask: DaskProcesses, ours: TlsFiles, tmp_path: Path) -> None:
    scene = cut_sample(tmp_path / "scene", DENSE, (160, 160))
    assert dask.address.startswith("tls://127.0.0.1:")
    options = ["--out", "there", "--scheduler", dask.address, *tls_options(ours)]
    with Forked("landslide_map_cli.start", scene, *options, cwd=tmp_path) as run:
        _, said = run.communicate()
    assert run.returncode == 0, said
    assert json.loads((tmp_path / "there" / "run.json").read_text())["timings"]["workers"]["cpu_seconds"] > 0
    assert made(tmp_path / "there") == made(map_scene(scene, tmp_path / "here").out)


def test_certificates_of_another_authority_are_refused(
    dask: DaskProcesses, ours: TlsFiles, theirs: TlsFiles
) -> None:
    for files in (theirs, replace(theirs, ca=ours.ca), replace(ours, ca=theirs.ca)):
        assert refused(dask.address, files) == "E636"


def test_a_client_without_certificates_is_refused(dask: DaskProcesses, ours: TlsFiles) -> None:
    plain = dask.address.replace("tls://", "tcp://")
    assert refused(plain, None) == "E630"
    assert refused(dask.address, None) == "E636"
    assert refused(plain, ours) == "E402"


def test_files_that_are_no_certificates_are_refused_by_name(
    ours: TlsFiles, theirs: TlsFiles, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.pem"
    damaged.write_text("-----BEGIN CERTIFICATE-----\nnone\n")
    os.mkfifo(tmp_path / "pipe.pem")
    locked = tmp_path / "locked.key"  # OpenSSL would prompt for its passphrase on the terminal
    key = serialization.load_pem_private_key(ours.key.read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"secret")
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    locked.write_bytes(key.private_bytes(*form, encryption))
    for wrong in (
        replace(ours, ca=tmp_path / "gone.pem"),
        replace(ours, ca=damaged),
        replace(ours, certificate=damaged),
        replace(ours, key=tmp_path / "pipe.pem"),
        replace(ours, key=tmp_path),
        replace(ours, key=locked),
        replace(ours, key=theirs.key),
    ):
        assert refused("tls://127.0.0.1:1", wrong) == "E636"


@pytest.mark.parametrize(
    "arguments", [("--tls-ca", "ca.pem"), ("--scheduler", "tls://x:1", "--tls-ca", "ca.pem")]
)
def test_options_that_go_together(arguments: tuple[str, ...], tmp_path: Path) -> None:
    result = CliRunner().invoke(run, ["scene.yaml", "--out", str(tmp_path), *arguments])
    assert result.exit_code == 2


def refused(address: str, files: TlsFiles | None) -> str:
    with pytest.raises(LandslideMapError) as caught, connected(address, files, timeout=2):
        pass
    return caught.value.code
