"""Validity dates: how long a certificate lasts, and a warning before it ends."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from federation.wording import Language, Text

WARN_BEFORE = timedelta(days=30)

_WARNING = Text(
    en="The certificate of {holder} ends in {days} days ({date}). Renew it now.",
    zh="{holder} 的憑證將於 {days} 天後({date})到期,請即換發。",
)
_OVER = Text(
    en="The certificate of {holder} ended on {date}. Renew it now.",
    zh="{holder} 的憑證已於 {date} 到期,請即換發。",
)


@dataclass(frozen=True, slots=True)
class ExpiryWarning:
    """One certificate that ends within 30 days; `days` is negative once it has."""

    holder: str
    days: int
    date: str

    def say(self, language: Language = Language.EN) -> str:
        """Return the warning as a sentence."""
        text = _OVER if self.days < 0 else _WARNING
        return text.say(language, holder=self.holder, days=self.days, date=self.date)


def days_left(certificate: x509.Certificate, *, now: datetime) -> int:
    """Return the whole days until a certificate ends; negative once it has."""
    return (certificate.not_valid_after_utc - now).days


def expiry_warnings(
    certificates: dict[str, x509.Certificate], *, now: datetime
) -> tuple[ExpiryWarning, ...]:
    """Return a warning for each certificate, by holder, that ends within 30 days."""
    return tuple(
        ExpiryWarning(
            holder, days_left(certificate, now=now), f"{certificate.not_valid_after_utc:%Y-%m-%d}"
        )
        for holder, certificate in certificates.items()
        if certificate.not_valid_after_utc - now < WARN_BEFORE
    )


def date_note(moment: datetime) -> str:
    """Return a moment as a note behind a sentence: ` (2026-10-01 08:00 UTC)`."""
    return f" ({moment:%Y-%m-%d %H:%M} UTC)"
