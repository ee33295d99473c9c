"""Pictures in DOCX: the library's own way hashes all pictures before each new one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docx.image.image import Image
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.oxml import OxmlElement
from docx.oxml.shape import CT_Inline
from docx.parts.image import ImagePart
from docx.shared import Emu

if TYPE_CHECKING:
    from pathlib import Path

    from docx.text.paragraph import Paragraph


def add_picture(
    paragraph: Paragraph, path: Path, number: int, size: tuple[int, int], description: str
) -> None:
    """Put a picture at the end of a paragraph.

    Args:
        paragraph: The paragraph.
        path: A JPEG file.
        number: From 1; each picture of a document has its own.
        size: Width and height in EMU.
        description: For people who do not see it.
    """
    partname = PackURI(f"/word/media/image{number}.jpg")
    part = ImagePart.from_image(Image.from_file(str(path)), partname)
    relation = paragraph.part.relate_to(part, RELATIONSHIP_TYPE.IMAGE)
    width, height = map(Emu, size)
    # Other things in the document have low ids.
    inline = CT_Inline.new_pic_inline(10_000 + number, relation, path.name, width, height)
    inline.docPr.set("descr", description)
    drawing = OxmlElement("w:drawing")
    drawing.append(inline)
    paragraph.add_run().element.append(drawing)
