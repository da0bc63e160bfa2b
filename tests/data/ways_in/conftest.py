import datetime
import ipaddress
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from clients.data import phantoms
from clients.data.catalogue.store import Catalogue
from clients.data.ways_in.inbox import Inbox
from clients.data.ways_in.transfers import Transfers
from tests.data.ways_in import orthanc as programs
from tests.data.ways_in.orthanc import Orthanc

PATIENTS = 8


@pytest.fixture(scope="session")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> phantoms.GeneratedSite:
    """Eight invented patients of one hospital."""
    folder = tmp_path_factory.mktemp("hospital")
    return phantoms.generate(folder, sites=["yilan"], patients=PATIENTS, seed=11)[0]


@pytest.fixture(scope="session")
def images(hospital: phantoms.GeneratedSite) -> list[Path]:
    """The hospital's whole images (neither the cut file nor the MR by mistake)."""
    found = sorted(hospital.folder.glob("*.dcm"))
    return [path for path in found if "copy" not in path.name and "mistake" not in path.name]


@pytest.fixture(scope="session")
def pacs(tmp_path_factory: pytest.TempPathFactory, images: list[Path]) -> Iterator[Orthanc]:
    """A real Orthanc that holds the hospital's images."""
    if why := programs.missing():
        pytest.skip(why)
    with programs.running(tmp_path_factory.mktemp("orthanc")) as found:
        assert found.add(*images) == len(images)
        yield found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "home" / "data"


@pytest.fixture
def inbox(data: Path) -> Inbox:
    return Inbox(data, reserve_bytes=0)


@pytest.fixture
def transfers(data: Path) -> Iterator[Transfers]:
    with Transfers(data) as found:
        yield found


Admitted = Callable[[], int]


@pytest.fixture
def admitted(data: Path) -> Admitted:
    """Return how many images the catalogue and the store hold; both must agree."""

    def counted() -> int:
        stored = sum(1 for _ in (data / "dicom").rglob("*.dcm"))
        with Catalogue(data) as catalogue:
            rows = sum(len(found) for found in catalogue.instances_of_patients().values())
        assert stored == rows
        return stored

    return counted


@dataclass(frozen=True)
class Tls:
    ca: Path
    certificate: Path
    key: Path
    stranger: Path
    stranger_key: Path

    def client(self, *, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ca))
        if certificate is not None and key is not None:
            context.load_cert_chain(certificate, key)
        return context


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """An authority, a certificate for 127.0.0.1 that it signed, and one that nobody knows."""
    folder = tmp_path_factory.mktemp("tls")
    ca_key, ca = _certificate("test authority", None, None)
    key, certificate = _certificate("127.0.0.1", ca, ca_key)
    stranger_key, stranger = _certificate("127.0.0.1", None, None)
    made = Tls(
        *(folder / name for name in ("ca.pem", "us.pem", "us.key", "other.pem", "other.key"))
    )
    for path, one in ((made.ca, ca), (made.certificate, certificate), (made.stranger, stranger)):
        path.write_bytes(one.public_bytes(serialization.Encoding.PEM))
    for path, secret in ((made.key, key), (made.stranger_key, stranger_key)):
        path.write_bytes(
            secret.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        path.chmod(0o600)
    return made


def _certificate(
    name: str, ca: x509.Certificate | None, ca_key: ec.EllipticCurvePrivateKey | None
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if ca is None else ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=ca is None, path_length=None), critical=True)
    )
    if ca is not None:
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    return key, builder.sign(ca_key or key, hashes.SHA256())
