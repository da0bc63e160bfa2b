"""Letters as a modality draws them into a picture: the phantoms' burned-in text.

A 5 x 7 dot font, a column a byte, the lowest bit on top. Only what the invented
patients' names and numbers need.
"""

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 7, 5
_COLUMNS = {
    "0": "3E5149453E", "1": "00427F4000", "2": "4261514946", "3": "2141454B31",
    "4": "1814127F10", "5": "2745454539", "6": "3C4A494930", "7": "0171090503",
    "8": "3649494936", "9": "064949291E", "A": "7E1111117E", "B": "7F49494936",
    "C": "3E41414122", "D": "7F4141221C", "E": "7F49494941", "F": "7F09090101",
    "G": "3E41415132", "H": "7F0808087F", "I": "00417F4100", "J": "2040413F01",
    "K": "7F08142241", "L": "7F40404040", "M": "7F0204027F", "N": "7F0408107F",
    "O": "3E4141413E", "P": "7F09090906", "Q": "3E4151215E", "R": "7F09192946",
    "S": "4649494931", "T": "01017F0101", "U": "3F4040403F", "V": "1F2040201F",
    "W": "7F2018207F", "X": "6314081463", "Y": "0304780403", "Z": "6151494543",
    " ": "0000000000",
}  # fmt: skip


def lettering(text: str, *, scale: int) -> NDArray[np.bool_]:
    """Return the text as dots, shape (7 * scale, 6 * scale * letters), True where it is drawn.

    Raises
    ------
    KeyError
        If a letter is not in the font.
    """
    columns = [[*bytes.fromhex(_COLUMNS[letter]), 0] for letter in text]
    dots = np.array([column for glyph in columns for column in glyph], dtype=np.uint8)
    rows = (dots[None, :] >> np.arange(HEIGHT, dtype=np.uint8)[:, None]) & 1
    return rows.astype(bool).repeat(scale, axis=0).repeat(scale, axis=1)
