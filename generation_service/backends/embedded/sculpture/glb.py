"""Painted solids as one GLB file: a mesh and a material for each colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import trimesh
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

if TYPE_CHECKING:
    from generation_service.backends.embedded.palette import RGB
    from generation_service.backends.embedded.sculpture.solids import Solid


@dataclass(frozen=True)
class Painted:
    """A solid and its colour, sRGB."""

    solid: Solid
    colour: RGB


def to_glb(pieces: list[Painted]) -> bytes:
    """A glTF 2.0 binary file; matt, since there is nothing for it to mirror."""
    by_colour: dict[str, list[Solid]] = {}
    for piece in pieces:
        by_colour.setdefault(_hex(piece.colour), []).append(piece.solid)
    scene = trimesh.Scene()
    for name, solids in by_colour.items():
        scene.add_geometry(_mesh(name, solids), node_name=name, geom_name=name)
    # trimesh ships types, but none for these.
    data: bytes = scene.export(  # type: ignore[no-untyped-call]
        file_type="glb", include_normals=True, tree_postprocessor=_tidy
    )
    return data


def _tidy(tree: dict[str, Any]) -> None:
    """No empty extras, which the media store would take out, changing the file."""
    for mesh in tree["meshes"]:
        mesh.pop("extras", None)


def _mesh(name: str, solids: list[Solid]) -> trimesh.Trimesh:
    starts = np.cumsum([0, *(len(solid.vertices) for solid in solids)])
    faces = [solid.faces + start for solid, start in zip(solids, starts, strict=False)]
    material = PBRMaterial(  # type: ignore[no-untyped-call]  # trimesh has none for it
        name=name,
        baseColorFactor=[*_linear(name), 255],
        metallicFactor=0.0,
        roughnessFactor=0.85,
        doubleSided=True,
    )
    return trimesh.Trimesh(
        vertices=np.vstack([solid.vertices for solid in solids]).astype(np.float32),
        faces=np.vstack(faces),
        vertex_normals=np.vstack([solid.normals for solid in solids]).astype(np.float32),
        visual=TextureVisuals(material=material),  # type: ignore[no-untyped-call]  # nor here
        process=False,
    )


def _hex(colour: RGB) -> str:
    return "".join(f"{round(min(max(channel, 0.0), 1.0) * 255):02x}" for channel in colour)


def _linear(name: str) -> list[int]:
    """glTF wants colours as amounts of light, not as screens encode them (IEC 61966-2-1)."""
    channels = np.array([int(name[i : i + 2], 16) for i in (0, 2, 4)]) / 255
    light = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return [round(float(value) * 255) for value in light]
