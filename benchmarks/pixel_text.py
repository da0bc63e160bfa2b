"""How well text in pixels is found, how often a clean film is stopped, and what it costs.

Positives are drawn here (Pillow, the machine's fonts) on real chest X-rays of the shared
public data sets, or on invented ones where these are absent: names, dates, numbers and
Chinese names, 10 to 60 pixels high, on pictures of 512 to 3000 pixels. The seed and the
fonts differ from those that the thresholds were chosen on. Negatives are the real films
themselves; their side markers and words such as PORTABLE must not stop them. Every film
that is stopped counts here, also where it does show initials or a number.

    python benchmarks/pixel_text.py [--json] [--quick] [--tesseract] [--list]

`--list` names on stderr what was missed, covered in part or stopped.

| figure | meaning |
|---|---|
| recall_KIND, recall_Npx | part of drawn pictures that were found to show text |
| covered | part of all drawn ink that lies inside the boxes found |
| stopped_SITE | part of a site's real films found to show text |
| empty_2048_ms, ... | median CPU of one picture; `empty` has no candidate for text |
| worker_start_ms | CPU of a fresh process up to its first answer, Python and NumPy included |
| worker_rss_mb, worker_address_mb | its highest memory, under a limit of 3 GiB of addresses |
| tesseract_* | with --tesseract: the same for Debian's tesseract (eng+chi_tra, sparse text) |
"""

import csv
import json
import os
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from benchmarks.report import report
from clients.data.dicom.elements import EXPLICIT_LITTLE, Element, Part10
from clients.data.pixeltext.detect import Detector
from clients.data.pixeltext.telling import MARKERS

FONTS = Path("/usr/share/fonts")
LATIN = {
    "tuning": ("DejaVuSans.ttf", "DejaVuSansMono.ttf", "DejaVuSans-Bold.ttf"),
    "held out": (
        *("NimbusSans-Regular.otf", "NimbusMonoPS-Bold.otf", "NimbusRoman-Regular.otf"),
        *("DejaVuSerif.ttf", "NotoSansMono-Regular.ttf", "DejaVuSansCondensed-Oblique.ttf"),
    ),
}
CHINESE = {"tuning": ("NotoSansCJK-Regular.ttc",), "held out": ("NotoSerifCJK-Bold.ttc",)}
FAMILY = ("WANG", "CHEN", "LIN", "HUANG", "CHANG", "LEE", "WU", "TSAI", "YANG", "HSU")
GIVEN = ("XIAOMING", "MEI-LING", "CHIH HAO", "YA TING", "CHUN HUNG", "SHU FEN", "I CHUN")
CHINESE_FAMILY = "王陳林黃張李吳蔡楊許鄭謝"
CHINESE_GIVEN = "小明美玲志豪雅婷俊宏淑芬怡君家瑋"
SIZES = (10, 12, 16, 24, 40, 60)
SIDES = (512, 1024, 2048, 3000)
KINDS = (
    *("white", "black", "boxed", "outlined", "jagged", "faint", "chinese", "monochrome1"),
    *("signed", "colour", "vertical", "one_frame"),
)
SITES = ("cn-guangzhou", "us-nih-ap", "us-nih-pa", "de-hannover")

Grey = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Drawn:
    """A picture with text: stored samples, a file that describes them, where the ink is."""

    samples: npt.NDArray[np.generic]
    file: Part10
    ink: npt.NDArray[np.bool_]


def part10(samples: npt.NDArray[np.generic], photometric: str, stored: int | None = None) -> Part10:
    """Return a file around samples (frames, rows, columns, channels), native little endian."""
    frames, rows, columns, channels = samples.shape
    bits = samples.dtype.itemsize * 8
    numbers = {
        0x00280002: channels,
        0x00280010: rows,
        0x00280011: columns,
        0x00280100: bits,
        0x00280101: stored or bits,
        0x00280102: (stored or bits) - 1,
        0x00280103: int(samples.dtype.kind == "i"),
    }
    dataset = [Element(tag, "US", struct.pack("<H", value)) for tag, value in numbers.items()]
    dataset.append(Element(0x00280004, "CS", photometric.encode() + b" " * (len(photometric) % 2)))
    dataset.append(Element(0x00280008, "IS", str(frames).encode()))
    if channels > 1:
        dataset.append(Element(0x00280006, "US", b"\0\0"))
    little = samples.astype(samples.dtype.newbyteorder("<"), copy=False)
    dataset.append(Element(0x7FE00010, "OW" if bits > 8 else "OB", little.tobytes()))
    meta = [Element(0x00020010, "UI", b"1.2.840.10008.1.2.1\0")]
    return Part10(
        meta, sorted(dataset, key=lambda item: item.tag), "1.2.840.10008.1.2.1", EXPLICIT_LITTLE
    )


class Films:
    """Real chest X-rays by site, or invented ones where the shared data is absent."""

    def __init__(self, rng: np.random.Generator, *, tuning: bool = False) -> None:
        named = os.environ.get("TRIFED_SHARED_DATA")
        beside = Path(__file__).resolve().parents[2] / "shared" / "data"
        self.folder = (Path(named) if named else beside) / "cxr-real"
        self.rng = rng
        manifest = self.folder / "manifest.csv"
        self.paths: dict[str, list[Path]] = defaultdict(list)
        if manifest.is_file():
            with manifest.open(encoding="utf-8", newline="") as file:
                for number, row in enumerate(csv.DictReader(file)):
                    if (number % 2 == 0) == tuning:
                        self.paths[row["site"]].append(self.folder / row["image"])

    def any(self, side: int) -> Grey:
        """Return a film of 0 to 1 without small text, at a size, with detector noise."""
        pool = self.paths.get("cn-guangzhou", [])
        if pool:
            with Image.open(pool[self.rng.integers(len(pool))]) as opened:
                film = opened.convert("L").resize((side, side), Image.Resampling.BICUBIC)
            grey = np.asarray(film, np.float32) / 255
        else:
            grey = invented(self.rng, side)
        noise = self.rng.normal(scale=0.004, size=grey.shape).astype(np.float32)
        return (grey * np.float32(0.9) + noise).clip(0, 1)


def invented(rng: np.random.Generator, side: int) -> Grey:
    """Return a smooth picture of 0 to 1 with ribs."""
    down, across = np.mgrid[0:side, 0:side].astype(np.float32) / side
    body = 1 - (2 * across - 1) ** 2 - 0.3 * down
    ribs = 0.1 * np.sin(40 * down + 6 * (across - 0.5) ** 2 + rng.uniform(0, 6))
    return np.asarray((body + ribs).clip(0, 1), np.float32)


class Typesetter:
    """Draws one line of text."""

    def __init__(self, rng: np.random.Generator, fonts: str) -> None:
        self.rng = rng
        self.latin = [path for name in LATIN[fonts] for path in FONTS.rglob(name)]
        self.chinese = [path for name in CHINESE[fonts] for path in FONTS.rglob(name)]
        if not self.latin:
            raise SystemExit("no font found; install fonts-dejavu")

    def pick(self, words: tuple[str, ...] | str) -> str:
        return words[self.rng.integers(len(words))]

    def words(self, *, chinese: bool) -> str:
        if chinese and self.chinese:
            given = self.pick(CHINESE_GIVEN) + self.pick(CHINESE_GIVEN)
            return self.pick(CHINESE_FAMILY) + given
        year, month, day = self.rng.integers((1930, 1, 1), (2020, 13, 29))
        number = "".join(str(digit) for digit in self.rng.integers(0, 10, 8))
        return self.pick(
            (
                f"{self.pick(FAMILY)} {self.pick(GIVEN)}",
                f"{self.pick(FAMILY)}^{self.pick(GIVEN)}",
                f"{year}/{month:02}/{day:02}",
                f"{year}{month:02}{day:02}",
                f"{self.pick('ABFHN')}1{number}",
                f"ID:{number}",
                f"{self.pick(FAMILY)} {int(self.rng.integers(1, 99))}Y M",
            )
        )

    def mask(self, size: int, *, kind: str) -> Grey:
        """Return the ink of a line of 0 to 1, `size` pixels high in the font's own measure."""
        chinese = kind == "chinese"
        paths = self.chinese if chinese and self.chinese else self.latin
        font = ImageFont.truetype(str(paths[self.rng.integers(len(paths))]), size)
        words = self.words(chinese=chinese)
        left, top, right, bottom = (round(edge) for edge in font.getbbox(words))
        canvas = Image.new("L", (right - left + 2, bottom - top + 2))
        pen = ImageDraw.Draw(canvas)
        pen.fontmode = "1" if kind == "jagged" else "L"
        pen.text((1 - left, 1 - top), words, fill=255, font=font)
        ink = np.asarray(canvas, np.float32) / 255
        return np.rot90(ink, self.rng.choice([1, 3])) if kind == "vertical" else ink


def draw(films: Films, type_: Typesetter, *, kind: str, size: int, side: int) -> Drawn:
    """Return a film with one line of text."""
    rng, film = type_.rng, films.any(side)
    ink = type_.mask(size, kind=kind)[:side, :side]
    rows, columns = ink.shape
    edge = 8 + size // 4
    corner = rng.random() < 0.6
    top = (
        int(rng.choice([edge, side - rows - edge])) if corner else int(rng.integers(0, side - rows))
    )
    left = int(rng.choice([edge, side - columns - edge])) if corner else -1
    if left < 0:
        left = int(rng.integers(0, max(1, side - columns)))
    top = max(0, top)
    place = (slice(top, top + rows), slice(left, left + columns))
    whole = np.zeros((side, side), np.float32)
    whole[place] = ink[: side - top, : side - left]
    inked = whole > 0.5
    if kind == "colour":
        return _colour(rng, film, whole, inked)
    if kind == "one_frame":
        return _frames(rng, film, whole, inked)
    written = _written(kind, film, whole, place)
    if kind == "signed":
        samples = np.rint(written * 3000 - 1024).astype(np.int16)[None, ..., None]
        return Drawn(samples, part10(samples, "MONOCHROME2"), inked)
    if kind == "monochrome1":
        written = 1 - written
    samples = np.rint(written * 4095).astype(np.uint16)[None, ..., None]
    photometric = "MONOCHROME1" if kind == "monochrome1" else "MONOCHROME2"
    return Drawn(samples, part10(samples, photometric, 12), inked)


def _written(kind: str, film: Grey, ink: Grey, place: tuple[slice, slice]) -> Grey:
    film = film.copy()
    if kind == "boxed":
        film[place] = 0
    if kind == "outlined":
        from scipy import ndimage

        film *= 1 - ndimage.maximum_filter(ink, 3)
    if kind == "faint":
        under = float(np.median(film[place]))
        level = under + 0.25 if under < 0.6 else under - 0.25
        return np.asarray(film * (1 - ink) + level * ink, np.float32)
    under = float(np.median(film[place]))
    black = kind == "black" or (kind not in ("boxed", "outlined") and under > 0.75)
    if kind == "black" and under < 0.25:
        film[place] = 0.9
    return np.asarray(film * (1 - ink) + (0.0 if black else 1.0) * ink, np.float32)


def _colour(rng: np.random.Generator, film: Grey, ink: Grey, inked: npt.NDArray[np.bool_]) -> Drawn:
    colours = ((255, 255, 0), (0, 255, 0), (0, 180, 255), (255, 128, 0), (255, 255, 255))
    colour = np.asarray(colours[rng.integers(len(colours))], np.float32)
    speckle = rng.gamma(2.0, 0.25, film.shape).astype(np.float32)
    dark = (film * speckle * 0.5).clip(0, 1)[..., None] * 255
    mixed = dark * (1 - ink[..., None]) + colour * ink[..., None]
    samples = np.rint(mixed).astype(np.uint8)[None]
    return Drawn(samples, part10(samples, "RGB"), inked)


def _frames(rng: np.random.Generator, film: Grey, ink: Grey, inked: npt.NDArray[np.bool_]) -> Drawn:
    count = 9
    samples = np.empty((count, *film.shape, 1), np.uint8)
    for number in range(count):
        samples[number, ..., 0] = np.rint(np.roll(film, number, axis=0) * 200)
    chosen = samples[int(rng.integers(count)), ..., 0]
    chosen[inked] = 255
    return Drawn(samples, part10(samples, "MONOCHROME2"), inked)


@dataclass
class Tally:
    """Found and asked, by name."""

    found: dict[str, list[float]]

    def add(self, name: str, value: float) -> None:
        self.found.setdefault(name, []).append(value)

    def means(self) -> dict[str, float]:
        return {name: statistics.fmean(values) for name, values in self.found.items()}


def recall(detector: Detector, *, seed: int, fonts: str, each: int) -> dict[str, float]:
    """Return the recall by kind and by size, and the part of the ink that is covered."""
    rng = np.random.default_rng(seed)
    films, type_ = Films(rng, tuning=fonts == "tuning"), Typesetter(rng, fonts)
    tally = Tally({})
    for kind in KINDS:
        for size in SIZES:
            for number in range(each):
                # long lines need room, and frames and colours memory
                fitting = [side for side in SIDES if side >= 14 * size or side == SIDES[-1]]
                if kind in ("colour", "one_frame"):
                    fitting = [side for side in fitting if side <= 1024] or [1024]
                side = fitting[number % len(fitting)]
                drawn = draw(films, type_, kind=kind, size=size, side=side)
                boxes = detector.find(drawn.samples, file=drawn.file)
                under = np.zeros_like(drawn.ink)
                for box in boxes:
                    under[box.top : box.bottom, box.left : box.right] = True
                tally.add(f"recall_{kind}", float(bool(boxes)))
                tally.add(f"recall_{size}px", float(bool(boxes)))
                tally.add("recall", float(bool(boxes)))
                tally.add("covered", float((under & drawn.ink).sum() / drawn.ink.sum()))
                if "--list" in sys.argv and (not boxes or tally.found["covered"][-1] < 0.9):
                    print(kind, size, side, number, tally.found["covered"][-1], file=sys.stderr)
    return tally.means()


def stopped(detector: Detector, *, seed: int, each: int, tuning: bool) -> dict[str, float]:
    """Return the part of each site's real films that are found to show text."""
    rng = np.random.default_rng(seed)
    films = Films(rng, tuning=tuning)
    figures = {}
    for site in SITES:
        paths = films.paths.get(site, [])
        chosen = [paths[at] for at in rng.permutation(len(paths))[:each]]
        hits = 0
        for path in chosen:
            with Image.open(path) as opened:
                samples = np.asarray(opened.convert("L"))[None, ..., None]
            found = bool(detector.find(samples, file=part10(samples, "MONOCHROME2")))
            hits += found
            if found and "--list" in sys.argv:
                print("stopped", path.name, file=sys.stderr)
        if chosen:
            figures[f"stopped_{site}"] = hits / len(chosen)
    return figures


def cost(detector: Detector, *, seed: int) -> dict[str, float]:
    """Return the CPU of one picture, milliseconds, median of seven."""
    rng = np.random.default_rng(seed)
    films, type_ = Films(rng), Typesetter(rng, "held out")
    figures = {}
    for name, side in (("empty_512", 512), ("empty_2048", 2048)):
        smooth = np.rint(invented(rng, side) * 4000 + rng.normal(scale=8, size=(side, side)))
        samples = smooth.clip(0, 4095).astype(np.uint16)[None, ..., None]
        figures[f"{name}_ms"] = _median_ms(
            detector, [(samples, part10(samples, "MONOCHROME2", 12))]
        )
    real = [np.rint(films.any(2048) * 4095).astype(np.uint16)[None, ..., None] for _ in range(7)]
    files = [(samples, part10(samples, "MONOCHROME2", 12)) for samples in real]
    figures["film_2048_ms"] = _median_ms(detector, files)
    drawn = [draw(films, type_, kind="white", size=24, side=2048) for _ in range(7)]
    figures["text_2048_ms"] = _median_ms(detector, [(one.samples, one.file) for one in drawn])
    return figures


def _median_ms(detector: Detector, files: list[tuple[npt.NDArray[np.generic], Part10]]) -> float:
    spent = []
    for samples, file in (files * 7)[:7]:
        started = time.process_time()
        detector.find(samples, file=file)
        spent.append(1000 * (time.process_time() - started))
    return statistics.median(spent)


def tesseract(*, seed: int) -> dict[str, float]:
    """Return what Debian's tesseract finds on 36 drawn pictures and 20 real films, and its CPU."""
    rng = np.random.default_rng(seed)
    films, type_ = Films(rng), Typesetter(rng, "held out")
    kinds = ("white", "jagged", "faint", "chinese", "outlined", "vertical")
    found, spent = [], []
    for kind in kinds:
        for size in SIZES:
            drawn = draw(films, type_, kind=kind, size=size, side=1024)
            grey = (drawn.samples[0, ..., 0] >> 4).astype(np.uint8)
            hit, cpu = _tesseract_reads(Image.fromarray(grey))
            found.append(hit)
            spent.append(cpu)
    stopped_films = []
    for site in SITES[1:3]:
        for path in films.paths.get(site, [])[:10]:
            with Image.open(path) as opened:
                stopped_films.append(_tesseract_reads(opened.convert("L"))[0])
    return {
        "tesseract_recall": statistics.fmean(found),
        "tesseract_stopped_us": statistics.fmean(stopped_films or [0.0]),
        "tesseract_1024_ms": statistics.median(spent),
    }


def _tesseract_reads(picture: Image.Image) -> tuple[float, float]:
    """Return 1 when three letters or two ideographs are read with 60 %, and the CPU in ms."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        picture.save(path)
        options = ("-l", "eng+chi_tra", "--psm", "11", "tsv")
        done = subprocess.run(
            ["/usr/bin/tesseract", str(path), "-", *options],
            capture_output=True,
            check=True,
            text=True,
        )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    words = [line.split("\t") for line in done.stdout.splitlines()[1:]]
    sure = [word[11] for word in words if len(word) > 11 and float(word[10]) >= 60]
    weights = [sum(2 if ord(c) > 0x2E7F else 1 for c in word if c.isalnum()) for word in sure]
    telling = [
        weight for weight, word in zip(weights, sure, strict=True) if word.upper() not in MARKERS
    ]
    return float(max(telling, default=0) >= 3), 1000 * cpu


def worker() -> dict[str, float]:
    """Return what one limited process needs to answer its first file."""
    done = subprocess.run(
        [sys.executable, __file__, "--one"], capture_output=True, check=True, text=True
    )
    return dict(json.loads(done.stdout))


def one() -> None:
    """Answer one file under the limits of an intake worker and print what it took."""
    resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
    samples = np.zeros((1, 2048, 2048, 1), np.uint16)
    rng = np.random.default_rng(1)
    ink = Typesetter(rng, "held out").mask(40, kind="white") > 0.5
    samples[0, 100 : 100 + ink.shape[0], 100 : 100 + ink.shape[1], 0][ink] = 4095
    if not Detector().find(samples, file=part10(samples, "MONOCHROME2", 12)):
        raise SystemExit("the text was not found")
    status = Path("/proc/self/status").read_text(encoding="ascii")
    kept = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if "kB" in line}
    figures = {
        "worker_start_ms": 1000 * time.process_time(),
        "worker_rss_mb": int(kept["VmHWM"]) / 1000,
        "worker_address_mb": int(kept["VmPeak"]) / 1000,
    }
    print(json.dumps(figures))


def main() -> None:
    """Measure and print."""
    if "--one" in sys.argv:
        one()
        return
    quick = "--quick" in sys.argv
    detector = Detector()
    figures = recall(detector, seed=20261122, fonts="held out", each=1 if quick else 8)
    figures |= stopped(detector, seed=20261122, each=20 if quick else 150, tuning=False)
    figures |= cost(detector, seed=20261122) | worker()
    if "--tesseract" in sys.argv:
        figures |= tesseract(seed=20261122)
    report("pixel_text", figures, {name: _unit(name) for name in figures})


def _unit(name: str) -> str:
    if name.endswith("_ms"):
        return "ms of CPU"
    return "MB" if name.endswith("_mb") else "of 1"


if __name__ == "__main__":
    main()
