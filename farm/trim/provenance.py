"""Where a clip comes from, written into the clip: tags that players show, and XMP that asset managers read.

Invariant: whatever a prompt holds, the file stays whole: all text is cleaned to what XML 1.0 can carry and
escaped, and both places say the same. No uri stands here: it may carry credentials, and places move.
"""

import re
import struct
from collections.abc import Mapping
from uuid import UUID
from xml.sax.saxutils import escape

from farm.values import Span, Task

# IPTC NewsCodes, http://cv.iptc.org/newscodes/digitalsourcetype/: made by an algorithm that learnt from samples, or
# by one that did not. previz only moves the pixels of the still.
SOURCE_TYPE = "DigitalSourceType"
_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
TRAINED = _SOURCE_TYPES + "trainedAlgorithmicMedia"
ALGORITHMIC = _SOURCE_TYPES + "algorithmicMedia"
_UNTRAINED_FAMILIES = frozenset({"previz"})

# XMP Specification Part 3, "ISO base media": the packet stands in a top-level box of type `uuid` with this id.
_XMP_UUID = UUID("be7acfcb-97a9-42e8-9c71-999491e3afac").bytes
_FARM_NAMESPACE = "urn:circletake:farm:1:"
_NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "farm": _FARM_NAMESPACE,
}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def provenance(task: Task, span: Span, *, farm_version: str) -> dict[str, str]:
    """What is to be known of the clip that shows `span` of a task's frames."""
    trained = task.model.family not in _UNTRAINED_FAMILIES
    tags = {
        "take_id": task.take_id,
        "still_id": task.still.id,
        "still_sha256": task.still_sha256,
        "motion_id": task.motion.id,
        "prompt": task.prompt,
        "model": task.model.name,
        "model_revision": task.model.revision,
        "seed": str(task.seed),
        "span": f"{span.start}:{span.stop}",
        "farm_version": farm_version,
        SOURCE_TYPE: TRAINED if trained else ALGORITHMIC,
    }
    return {key: clean(value) for key, value in tags.items()}


def clean(text: str) -> str:
    """The text with U+FFFD for each character that XML 1.0 cannot carry (controls, lone surrogates)."""
    return _NOT_XML.sub("\ufffd", text)


def xmp_box(tags: Mapping[str, str]) -> bytes:
    """An MP4 box with an XMP packet of all `tags`, to stand after the last box of a file.

    The well-known ones also take their standard names, so that readers that know nothing of this farm see
    them. Raises ValueError for a name that cannot be an XML name.
    """
    packet = _packet({_checked(name): clean(value) for name, value in tags.items()}).encode()
    payload = b"uuid" + _XMP_UUID + packet
    return struct.pack(">I", 4 + len(payload)) + payload


def _packet(tags: Mapping[str, str]) -> str:
    spaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in _NAMESPACES.items())
    own = "".join(_element(f"farm:{name}", _text(value)) for name, value in tags.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {spaces}>{_standard(tags)}{own}</rdf:Description>'
        "</rdf:RDF></x:xmpmeta>"
        '<?xpacket end="r"?>'
    )


def _standard(tags: Mapping[str, str]) -> str:
    """The tags under the names of Dublin Core, XMP and IPTC Photo Metadata 2025.1."""
    elements = []
    if "prompt" in tags:
        prompt = _text(tags["prompt"])
        item = f'<rdf:Alt><rdf:li xml:lang="x-default">{prompt}</rdf:li></rdf:Alt>'
        elements.append(_element("dc:description", item))
    if "take_id" in tags:
        elements.append(_element("dc:identifier", _text(tags["take_id"])))
    if "farm_version" in tags:
        elements.append(_element("xmp:CreatorTool", _text(f"Circletake farm {tags['farm_version']}")))
    if SOURCE_TYPE in tags:
        elements.append(_element(f"Iptc4xmpExt:{SOURCE_TYPE}", _text(tags[SOURCE_TYPE])))
    # Readers take the presence of an AI property for a sign of generative AI: never on what was not learnt.
    if tags.get(SOURCE_TYPE) == TRAINED:
        properties = (
            ("model", "AISystemUsed"),
            ("model_revision", "AISystemVersionUsed"),
            ("prompt", "AIPromptInformation"),
        )
        for tag, name in properties:
            if tag in tags:
                elements.append(_element(f"Iptc4xmpExt:{name}", _text(tags[tag])))
    return "".join(elements)


def _element(name: str, content: str) -> str:
    return f"<{name}>{content}</{name}>"


def _text(value: str) -> str:
    # A bare carriage return would come back as a line feed.
    return escape(value, {"\r": "&#13;"})


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot name a tag: allowed: letters, digits, '_', '.', '-'")
    return name
