"""What an experiment leaves in its folder."""

from pathlib import Path


def check_written(stem: str, folder: Path) -> None:
    """Its HDF5 file, JSON and a picture of less than a megabyte, and nothing else."""
    assert sorted(p.name for p in folder.iterdir()) == [stem + end for end in (".h5", ".json", ".png")]
    picture = (folder / f"{stem}.png").read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(picture) < 1e6
