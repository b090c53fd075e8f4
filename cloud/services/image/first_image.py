"""The image that a new cloud begins with: a disk that boots, says so on its serial console, and halts."""

import io

from cloud.domain.image import ACTIVE, NewImage
from cloud.services.image.client import ImageClient

NAME = "hello"
SIZE_BYTES = 1 << 20
_TEXT = b"Hello from a new instance: this image boots, and does no more.\r\n"
_LOADED_AT = 0x7C00  # where a PC's firmware puts the first sector of a disk
# 16-bit code of the 8086: each byte of the text to the first serial port, then sleep for good.
_CODE = bytes.fromhex(
    "fa"  # cli
    "fc"  # cld
    "31c0"  # xor ax, ax
    "8ed8"  # mov ds, ax
    "be177c"  # mov si, text (0x7c17: behind this code)
    "baf803"  # mov dx, 0x3f8
    "ac"  # next: lodsb
    "84c0"  # test al, al
    "7403"  # jz halt
    "ee"  # out dx, al
    "ebf8"  # jmp next
    "f4"  # halt: hlt
    "ebfd"  # jmp halt
)
_BOOTABLE = b"\x55\xaa"  # at the end of the first sector


def first_image() -> bytes:
    """A raw disk of 1 MiB."""
    code = _CODE + _TEXT + b"\0"
    return (code.ljust(510, b"\0") + _BOOTABLE).ljust(SIZE_BYTES, b"\0")


def add_first_image(client: ImageClient) -> bool:
    """Register and upload it, for all to see, unless there is one of its name; whether that was done.

    ImageUnavailableError and what else ImageClient raises; one that was registered and has no data is taken up again.
    """
    known = client.list(name=NAME)
    if any(image.status == ACTIVE for image in known):
        return False
    image = known[0] if known else client.create(NewImage(NAME, "raw", "bare", is_public=True))
    client.upload(image.id, io.BytesIO(first_image()))
    return True


assert _LOADED_AT + len(_CODE) == 0x7C17  # noqa: S101 - what the code says of itself
