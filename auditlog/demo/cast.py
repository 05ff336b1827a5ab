"""Who is in the demo: Acme's sites, people, machines, partners, and where they come from.

Addresses are of the ranges set aside for documentation, names of the domains set aside for examples.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from random import Random


@dataclass(frozen=True)
class DemoSite:
    """A site: its share of the work and its working day."""

    slug: str
    name: str
    host: str
    network: str
    requests_a_day: int
    hours_ahead: int
    """Of UTC: when its people work."""


ACME = DemoSite("acme", "Acme", "acme.example.com", "198.51.100", 1200, -5)
EUROPE = DemoSite("acme-eu", "Acme Europe", "eu.acme.example.com", "203.0.113", 800, 1)
LABS = DemoSite("acme-labs", "Acme Labs", "labs.acme.example.com", "192.0.2", 400, -8)
SITES = (ACME, EUROPE, LABS)
"""The parent site first, then its child sites."""

MEMBERS = (
    ("alice", "acme", "administrator"),
    ("bob", "acme", "staff"),
    ("erika.lind", "acme-eu", "staff"),
    ("priya.nair", "acme-labs", "administrator"),
)
"""Those of Acme's people who may read the book: username, site and role."""


@dataclass(frozen=True)
class Someone:
    """A user of Acme's sites: a person, or an account that a program uses."""

    user_id: str
    username: str
    site: DemoSite
    address: str
    key_id: str | None = None
    key_prefix: str | None = None

    def agent(self, choices: tuple[str, ...]) -> str:
        """The one of `choices` this user always has."""
        return choices[int(self.user_id) % len(choices)]


_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789"
_PEOPLE = {
    ACME: "alice bob helen.ortiz dan.whitfield maria.santos jon.keller grace.kim omar.haddad tina.brooks sam.porter "
    "rosa.delgado ben.nguyen lucy.adams victor.hale nina.petrov carl.jensen amy.chen joe.rossi ruth.meyer ian.clark "
    "josé.álvarez kate.morgan paul.dubois eve.sanders noah.wright",
    EUROPE: "erika.lind jürgen.weiß chloé.martin marek.nowak sofia.ricci lars.hansen anna.kovács pieter.devries "
    "ines.ferreira tomás.novák zoë.baker emil.berg greta.holm luca.conti marta.silva",
    LABS: "priya.nair wei.zhang hannah.cole diego.ramos yuki.tanaka fatima.khan leo.grant mila.popov",
}
_MACHINES = {
    ACME: "svc-erp svc-backup robot-nightly svc-webhooks nordwind-logistics contoso-edi okta-scim mail-intake",
    EUROPE: "svc-erp-eu svc-archive robot-invoices fabrikam-gmbh tailspin-sftp azure-scim",
    LABS: "svc-pipeline robot-samples lab-instruments ci-runner",
}


def _cast(names: dict[DemoSite, str], first_id: int, *, with_key: bool) -> dict[DemoSite, tuple[Someone, ...]]:
    rng = Random(f"cast {first_id}")  # noqa: S311 (made up, and the same each time)
    cast = {}
    for site, text in names.items():
        members = []
        for number, username in enumerate(text.split()):
            host = 10 + 3 * number + first_id % 7
            address = (
                f"{site.network}.{host}" if with_key or number % 4 else f"2001:db8:{host:x}::{first_id % 97 + number:x}"
            )
            key = "".join(rng.choices(_LETTERS, k=6)) if with_key else None
            user_id = str(first_id + 13 * number + 400 * SITES.index(site))
            members.append(Someone(user_id, username, site, address, key and str(71_000 + int(user_id)), key))
        cast[site] = tuple(members)
    return cast


PEOPLE = _cast(_PEOPLE, 1001, with_key=False)
MACHINES = _cast(_MACHINES, 5003, with_key=True)
ALICE, BOB, HELEN = PEOPLE[ACME][:3]
BY_NAME = {each.username: each for cast in (PEOPLE, MACHINES) for members in cast.values() for each in members}

_ZIPF = {site: list(accumulate(1 / (rank + 1) for rank in range(len(people)))) for site, people in PEOPLE.items()}


def someone_of(site: DemoSite, rng: Random) -> Someone:
    """Draw a person: a few do most of the work."""
    return rng.choices(PEOPLE[site], cum_weights=_ZIPF[site])[0]


API = "/api/rest/v1"
BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605",
    "Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Edg/140.0.0.0",
)
FOLDERS = (
    "Clients/Nordwind",
    "Clients/Contoso/2026",
    "Clients/Fabrikam/Inbox",
    "Finance/Invoices",
    "Finance/Payroll",
    "Legal/Contracts",
    "Marketing/Press%20kit",
    "Engineering/Drawings",
    "Engineering/Releases",
    "HR/Onboarding",
    "Shared/Photos",
    "Archive/2025",
)
FILES = (
    "invoice-{n}.pdf",
    "report-q{q}.pdf",
    "orders-{n}.csv",
    "IMG_{n}.jpg",
    "contract-{n}.docx",
    "price%20list%20{n}.xlsx",
    "drawing-{n}.dwg",
    "backup-{n}.tar.gz",
    "r%C3%A9sum%C3%A9-{n}.pdf",
    "shipment-{n}.xml",
)


def a_file(rng: Random) -> str:
    """Draw the path of a file, without its first slash."""
    return f"{rng.choice(FOLDERS)}/{rng.choice(FILES).format(n=rng.randint(1000, 9999), q=rng.randint(1, 4))}"
