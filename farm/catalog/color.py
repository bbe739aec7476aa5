"""Whatever a decoder gives, as 8-bit sRGB.

Invariant: scaling is by the range that the file's own depth has (16 bits: 0..65535), never by clipping. An embedded
colour profile is obeyed where it fits the pixels, and ignored where it does not.
"""

from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

from farm.errors import StillError

# What is seen through a still where it is transparent: catalogs show cut-outs on white.
BACKGROUND = (255, 255, 255)

# TIFF tags.
_BITS_PER_SAMPLE = 258
_PHOTOMETRIC = 262
_WHITE_IS_ZERO = 0

# What the colour space of a profile is called by ICC, and the mode of pixels that it describes.
_MODE_OF_SPACE = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
_WIDENED = {"PA": "RGBA", "La": "LA", "RGBa": "RGBA", "YCbCr": "RGB", "RGBX": "RGB"}


def to_srgb(image: Image.Image) -> Image.Image:
    """The loaded image as mode RGB, flattened on `BACKGROUND`.

    Raises StillError (still_format) for pixels whose range is not agreed: floats and 32-bit integers.
    """
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I;16"):
        image = _from_16_bit(image)
    if image.mode in ("I", "F"):
        raise StillError(
            f"pixels are {'floats' if image.mode == 'F' else '32-bit integers'}, whose white is not agreed; "
            "allowed: 8 or 16 bits a channel",
            kind="still_format",
        )
    if image.mode == "P" or ("transparency" in image.info and image.mode in ("1", "L", "RGB")):
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif image.mode in _WIDENED:
        image = image.convert(_WIDENED[image.mode])
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    if alpha is not None:
        image = image.convert("RGB" if image.mode == "RGBA" else "L")
    image = _colours(image, profile if isinstance(profile, bytes) else None)
    if alpha is None or alpha.getextrema() == (255, 255):
        return image
    flat = Image.new("RGB", image.size, BACKGROUND)
    flat.paste(image, mask=alpha)
    return flat


def _from_16_bit(image: Image.Image) -> Image.Image:
    tags = getattr(image, "tag_v2", {})
    # A 12-bit TIFF comes in the same mode, its white at 4095.
    bits = tags.get(_BITS_PER_SAMPLE, (16,))[0]
    white = 2**bits - 1
    levels = (np.arange(65536, dtype=np.int64).clip(max=white) * 255 + white // 2) // white
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        levels = 255 - levels
    deep = np.asarray(image)
    return Image.fromarray(levels.astype(np.uint8)[deep.astype(np.uint16, copy=False)])


def _colours(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Modes 1, L, RGB, CMYK and LAB as RGB, by the profile if it can be used, else as Pillow sees it."""
    if image.mode == "1":
        image = image.convert("L")
    source = _profile(profile, image.mode)
    if source is not None:
        try:
            transform = ImageCms.buildTransform(
                source,
                ImageCms.createProfile("sRGB"),
                image.mode,
                "RGB",
                # As photo editors do: what both spaces hold stays, black stays black.
                renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
            if image.mode != "RGB" or not _changes_nothing(transform):
                return _applied(transform, image)
        except ImageCms.PyCMSError:
            pass  # a broken profile is no reason to refuse the pixels
    return image if image.mode == "RGB" else image.convert("RGB")


def _profile(data: bytes | None, mode: str) -> ImageCms.ImageCmsProfile | None:
    """The embedded profile, if it is one and describes pixels of this mode."""
    if not data:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(data))
        space = str(profile.profile.xcolor_space).strip()
    except (OSError, UnicodeDecodeError, ImageCms.PyCMSError):
        return None
    return profile if _MODE_OF_SPACE.get(space) == mode else None


def _applied(transform: ImageCms.ImageCmsTransform, image: Image.Image) -> Image.Image:
    changed = ImageCms.applyTransform(image, transform)
    assert changed is not None  # None only for a transform in place
    return changed


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether a transform from RGB is the identity, as for the many files that carry sRGB: it costs 50 ms/MP."""
    levels = np.linspace(0, 255, 16).round().astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(64, 64, 3)
    changed = np.asarray(_applied(transform, Image.fromarray(colours)))
    return bool(np.abs(changed.astype(np.int16) - colours).max() <= 1)
