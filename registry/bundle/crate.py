"""Describe a bundle as an RO-Crate 1.1 with the facts that the Five Safes profile asks for.

researchobject.org/ro-crate/1.1 and w3id.org/5s-crate/0.4: safe project (the study), safe
people (who approved, as organisations: people are not named here), safe data (a data
set per site, by digest), safe setting (the platform and its code), safe outputs (what
was suppressed before it was signed). Written by hand: forty lines of JSON-LD need no
library.
"""

from collections.abc import Iterator, Mapping

from federation.evidence.canonical import canonical
from federation.evidence.members import item_name, signed_name, statement_stem
from federation.evidence.model_version import Record

CRATE = "ro-crate-metadata.json"
_CONTEXT = "https://w3id.org/ro/crate/1.1/context"
_RO_CRATE = "https://w3id.org/ro/crate/1.1"
_FIVE_SAFES = "https://w3id.org/5s-crate/0.4"
_SHP = "https://w3id.org/shp#"
_DONE = "http://schema.org/CompletedActionStatus"
_LICENCE = "#terms"
_MEDIA = {
    "json": "application/json",
    "pem": "application/x-pem-file",
    "md": "text/markdown",
    "py": "text/x-python",
    "safetensors": "application/octet-stream",
}

Entity = dict[str, object]


def crate_of(record: Record, files: Mapping[str, tuple[int, str]]) -> bytes:
    """Return the metadata file; `files` are size in bytes and SHA-256 (hex) by name."""
    actions = [*_actions(record)]
    graph = [
        {
            "@id": CRATE,
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": {"@id": _RO_CRATE},
        },
        _root(record, [*files], actions),
        {"@id": _FIVE_SAFES, "@type": "Profile", "name": "Five Safes RO-Crate profile"},
        {
            "@id": _LICENCE,
            "@type": "CreativeWork",
            "name": "For review and audit; the register's terms apply",
        },
        *_context(record),
        *actions,
        *(_file(name, *about) for name, about in sorted(files.items())),
    ]
    return canonical({"@context": _CONTEXT, "@graph": graph})


def _root(record: Record, files: list[str], actions: list[Entity]) -> Entity:
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Evidence of {record.entry}",
        "description": f"What was signed on the way to {record.entry}, study {record.study.id}: "
        "statements, proofs, certificates, and a program to verify them offline.",
        "identifier": record.entry,
        "datePublished": record.created,
        "license": {"@id": _LICENCE},
        "conformsTo": {"@id": _FIVE_SAFES},
        "sourceOrganization": {"@id": "#project"},
        "mainEntity": {"@id": item_name("record")},
        "mentions": [{"@id": action["@id"]} for action in actions],
        "hasPart": [{"@id": name} for name in sorted(files)],
    }


def _context(record: Record) -> Iterator[Entity]:
    sites = [part.site for part in record.participants]
    yield {
        "@id": "#project",
        "@type": "Project",
        "name": record.study.title,
        "identifier": record.study.id,
        "member": [{"@id": f"#site-{site}"} for site in sites],
    }
    yield {"@id": "#register", "@type": "Organization", "name": "The register"}
    yield {
        "@id": "#recipe",
        "@type": "SoftwareApplication",
        "name": record.recipe.name,
        "version": record.recipe.version,
        "identifier": record.recipe.digest,
    }
    yield {
        "@id": "#platform",
        "@type": "SoftwareApplication",
        "name": "TriFed",
        "version": record.code.version,
        "identifier": record.code.wheel_digest,
    }
    for part in record.participants:
        yield {"@id": f"#site-{part.site}", "@type": "Organization", "name": part.site}
        yield {
            "@id": f"#data-{part.site}",
            "@type": "Dataset",
            "name": f"Data of {part.site}; it never left the site",
            "identifier": part.dataset_digest,
            "sourceOrganization": {"@id": f"#site-{part.site}"},
        }


def _actions(record: Record) -> Iterator[Entity]:
    yield {
        "@id": "#training",
        "@type": "CreateAction",
        "name": f"Federated training, run {record.run}",
        "actionStatus": {"@id": _DONE},
        "endTime": record.created,
        "agent": {"@id": "#register"},
        "instrument": [{"@id": "#recipe"}, {"@id": "#platform"}],
        "object": [{"@id": f"#data-{part.site}"} for part in record.participants],
        "result": {"@id": item_name("record")},
    }
    for number, logged in enumerate(record.statements, start=1):
        if logged.kind == "approval":
            stem = statement_stem(number, logged)
            yield {
                "@id": f"#signoff-{number}",
                "@type": "AssessAction",
                "additionalType": {"@id": f"{_SHP}SignOff"},
                "name": f"Approval of the study by the data officer of {logged.site}",
                "actionStatus": {"@id": _DONE},
                "agent": {"@id": f"#site-{logged.site}"},
                "object": [{"@id": "./"}, {"@id": "#project"}],
                "instrument": {"@id": signed_name(stem)},
            }
    yield {
        "@id": "#disclosure",
        "@type": "AssessAction",
        "additionalType": {"@id": f"{_SHP}DisclosureCheck"},
        "name": "Counts between 1 and 9 were suppressed by the sites and refused by the register",
        "actionStatus": {"@id": _DONE},
        "agent": {"@id": "#register"},
        "object": {"@id": item_name("record")},
    }
    yield {
        "@id": "#check",
        "@type": "AssessAction",
        "additionalType": {"@id": f"{_SHP}CheckValue"},
        "name": "SHA-256 of every member, in manifest.json, signed",
        "actionStatus": {"@id": _DONE},
        "agent": {"@id": "#register"},
        "object": {"@id": "./"},
    }


def _file(name: str, size_bytes: int, sha256: str) -> Entity:
    about: Entity = {
        "@id": name,
        "@type": "File",
        "name": name.rpartition("/")[2],
        "contentSize": str(size_bytes),
        "sha256": sha256,
        "encodingFormat": _MEDIA.get(name.rpartition(".")[2], "text/plain"),
    }
    return about
