"""What secrets look like: the shapes of keys that providers document, and of passwords in files.

A list of our own, because no library fits into a tool that starts in milliseconds and must not be
stalled by what it reads. Looked at were detect-secrets (its last release is years old), its kept-up
fork bc-detect-secrets, and CredSweeper. The first two take a quarter of a second to import, bring
an HTTP client to try keys out, read a line at a time, and have patterns whose time grows with the
square of a line (web tokens, npm); the last brings a neural network, 400 MB in all. Their shapes
are here, and those that gitleaks documents; their reading of entropy alone is not, as it takes
digests for secrets.

Every pattern is linear: fixed prefixes, bounded repeats, and a look-behind that keeps a match from
starting inside the run of characters that it would repeat (else a megabyte of ``eyJ-eyJ-…`` is
scanned a thousand times). A pattern is compiled and tried only on a text that has one of its hints:
to compile them all would take longer than most commands.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Shape(NamedTuple):
    """One kind of secret: its name, texts of which one must be there, and the pattern (which ``re``
    compiles once, and keeps).
    """

    rule: str
    hints: tuple[str, ...]
    pattern: str


_START = r"(?<![A-Za-z0-9_-])"
_PLAIN = r"(?<![A-Za-z0-9])"
_STOP = r"(?![A-Za-z0-9_-])"
_HEX = "[a-f0-9]"

_PREFIXED: tuple[tuple[str, str, str], ...] = (
    # rule, prefixes (parted by spaces), what follows
    ("GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", r"[A-Za-z0-9]{36,255}"),
    ("GitHub token", "github_pat_", r"[A-Za-z0-9_]{22,255}"),
    (
        "GitLab token",
        "glpat- gldt- glft- glsoat- glrt- glcbt- glimt- glptt- glagent- gloas- glffct-",
        r"[A-Za-z0-9_.-]{20,255}",
    ),
    ("GitLab token", "GR1348941", r"[A-Za-z0-9_-]{20,50}"),
    ("Slack token", "xoxa- xoxb- xoxe- xoxo- xoxp- xoxr- xoxs-", r"[A-Za-z0-9-]{10,255}"),
    ("Slack token", "xoxe. xapp-1- xapp-2-", r"[A-Za-z0-9.-]{20,255}"),
    ("Google API key", "AIza", r"[A-Za-z0-9_-]{35}" + _STOP),
    ("Google client secret", "GOCSPX-", r"[A-Za-z0-9_-]{28}" + _STOP),
    ("Google access token", "ya29.", r"[A-Za-z0-9_-]{30,500}"),
    ("Stripe key", "sk_live_ sk_test_ rk_live_ rk_test_ sk_prod_ rk_prod_", r"[A-Za-z0-9]{16,255}"),
    ("Stripe webhook secret", "whsec_", r"[A-Za-z0-9+/]{24,100}"),
    (
        "model provider key",
        "sk-ant- sk-proj- sk-or- sk-svcacct- sk-admin- sk-lf-",
        r"[A-Za-z0-9_-]{24,255}",
    ),
    ("model provider key", "sk-", r"[A-Za-z0-9]{40,255}"),
    ("model provider key", "gsk_", r"[A-Za-z0-9]{40,80}"),
    ("model provider key", "xai-", r"[A-Za-z0-9]{60,100}"),
    ("model provider key", "pplx-", r"[A-Za-z0-9]{40,60}"),
    ("model provider key", "r8_", r"[A-Za-z0-9]{37,40}" + _STOP),
    ("model provider key", "fw_", r"[A-Za-z0-9]{24}" + _STOP),
    ("model provider key", "nvapi-", r"[A-Za-z0-9_-]{60,80}"),
    ("model provider key", "csk-", r"[a-z0-9]{44,60}"),
    ("Hugging Face token", "hf_ api_org_", r"[A-Za-z]{34}" + _STOP),
    ("AWS Bedrock key", "ABSK", r"[A-Za-z0-9+/]{100,280}"),
    ("npm token", "npm_", r"[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
    ("PyPI token", "pypi-AgE", r"[A-Za-z0-9_-]{50,255}"),
    ("RubyGems key", "rubygems_", _HEX + r"{48}" + _STOP),
    ("NuGet key", "oy2", r"[a-z2-7]{43}" + _STOP),
    ("Clojars token", "CLOJARS_", r"[a-z0-9]{60}" + _STOP),
    ("Docker token", "dckr_pat_ dckr_oat_", r"[A-Za-z0-9_-]{27,40}" + _STOP),
    ("Artifactory key", "AKCp", r"[A-Za-z0-9]{69}" + _STOP),
    ("Artifactory key", "cmVmd", r"[A-Za-z0-9]{59}" + _STOP),
    ("Atlassian token", "ATATT3 ATCTT3 ATBB", r"[A-Za-z0-9_=-]{24,255}"),
    ("Alibaba key", "LTAI", r"[A-Za-z0-9]{20}" + _STOP),
    ("DigitalOcean token", "dop_v1_ doo_v1_ dor_v1_", _HEX + r"{64}" + _STOP),
    ("Databricks token", "dapi", _HEX + r"{32}(?:-\d)?" + _STOP),
    ("Doppler token", "dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.", r"[A-Za-z0-9._-]{40,80}"),
    ("Dynatrace token", "dt0c01. dt0s16.", r"[A-Z0-9]{24}\.[A-Z0-9]{64}" + _STOP),
    ("EasyPost key", "EZAK EZTK", r"[A-Za-z0-9]{54}" + _STOP),
    ("Fly token", "fo1_ fm1_ fm1r_ fm1a_ fm2_", r"[A-Za-z0-9_+/=,-]{43,800}"),
    ("Grafana token", "glc_ glsa_", r"[A-Za-z0-9_+/=]{32,400}"),
    ("Vault token", "hvs. hvb. hvr.", r"[A-Za-z0-9_-]{24,300}"),
    ("Heroku key", "HRKU-AA", r"[A-Za-z0-9_-]{58}" + _STOP),
    ("Linear key", "lin_api_ lin_oauth_", r"[A-Za-z0-9]{40,64}" + _STOP),
    ("New Relic key", "NRAK- NRII- NRJS- NRRA-", r"[A-Za-z0-9_-]{19,42}" + _STOP),
    ("Notion token", "ntn_", r"[A-Za-z0-9]{40,50}" + _STOP),
    ("PlanetScale token", "pscale_tkn_ pscale_oauth_ pscale_pw_", r"[A-Za-z0-9=._-]{32,64}"),
    ("Postman key", "PMAK-", _HEX + "{24}-" + _HEX + "{34}" + _STOP),
    ("Prefect key", "pnu_ pnb_", r"[A-Za-z0-9]{36}" + _STOP),
    ("Pulumi token", "pul-", _HEX + r"{40}" + _STOP),
    ("ReadMe key", "rdme_", r"[a-z0-9]{70}" + _STOP),
    ("SendGrid key", "SG.", r"[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}" + _STOP),
    ("Brevo key", "xkeysib- xsmtpsib-", _HEX + r"{64}-[A-Za-z0-9]{16}" + _STOP),
    ("Sentry token", "sntryu_", _HEX + r"{64}" + _STOP),
    ("Sentry token", "sntrys_eyJ", r"[A-Za-z0-9+/=_]{60,500}"),
    ("Shippo key", "shippo_live_ shippo_test_", _HEX + r"{40}" + _STOP),
    ("Shopify token", "shpat_ shpca_ shppa_ shpss_", r"[A-Fa-f0-9]{32}" + _STOP),
    ("Sourcegraph token", "sgp_", r"(?:[a-f0-9]{16}_|local_)?[a-f0-9]{40}" + _STOP),
    ("Square token", "sq0atp- sq0csp- sq0idp-", r"[A-Za-z0-9_-]{22,60}" + _STOP),
    ("Supabase token", "sbp_", _HEX + r"{40}" + _STOP),
    ("Supabase key", "sb_secret_", r"[A-Za-z0-9_-]{20,60}"),
    ("Netlify token", "nfp_ nfc_ nfu_", r"[A-Za-z0-9]{36}" + _STOP),
    ("Tailscale key", "tskey-", r"(?:auth|api|client|scim|webhook)-[A-Za-z0-9-]{12,80}"),
    ("Twilio key", "SK", _HEX + r"{32}" + _STOP),
    ("Typeform token", "tfp_", r"[A-Za-z0-9_.=-]{59}" + _STOP),
    ("Mailgun key", "key-", _HEX + r"{32}" + _STOP),
    ("Figma token", "figd_ figu_", r"[A-Za-z0-9_-]{36,60}"),
    ("Contentful token", "CFPAT-", r"[A-Za-z0-9_-]{43}" + _STOP),
    ("Duffel token", "duffel_test_ duffel_live_", r"[A-Za-z0-9_=-]{43}" + _STOP),
    ("Adobe secret", "p8e-", r"[a-z0-9]{32}" + _STOP),
    ("1Password token", "ops_eyJ", r"[A-Za-z0-9+/]{200,2000}"),
    ("age key", "AGE-SECRET-KEY-1", r"[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"),
    ("Infracost key", "ico-", r"[A-Za-z0-9]{32}" + _STOP),
    ("Scalingo token", "tk-us-", r"[A-Za-z0-9_-]{48}" + _STOP),
)

_OTHERS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (
        "AWS access key",
        ("AKIA", "ASIA", "ABIA", "ACCA", "A3T"),
        _PLAIN + r"(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z0-9]{16}(?![A-Za-z0-9])",
    ),
    (
        "Slack webhook",
        ("hooks.slack.com/",),
        r"hooks\.slack\.com/(?:services/T[A-Za-z0-9]{6,16}/B[A-Za-z0-9]{6,16}/\w{16,64}"
        r"|workflows/[A-Za-z0-9/]{40,80})",
    ),
    (
        "chat webhook",
        ("discord.com/api/webhooks/", "discordapp.com/api/webhooks/"),
        r"discord(?:app)?\.com/api/webhooks/\d{15,22}/[A-Za-z0-9_-]{60,80}",
    ),
    (
        "JSON web token",
        ("eyJ",),
        _START + r"eyJ[A-Za-z0-9_-]{10,4000}+\.eyJ[A-Za-z0-9_-]{10,4000}+\.[A-Za-z0-9_-]{10,1000}",
    ),
    ("OpenAI key", ("T3BlbkFJ",), r"(?<![A-Za-z0-9])[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}"),
    ("Azure key", ("AccountKey=",), r"AccountKey=[A-Za-z0-9+/]{86}=="),
    ("Azure key", ("SharedAccessKey=",), r"SharedAccessKey=[A-Za-z0-9+/]{43}="),
    ("Azure key", ("JQQJ99",), r"(?<![A-Za-z0-9])[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9+/=]{18,40}"),
    (
        "Azure client secret",
        ("Q~",),
        r"(?<![\w.~-])[A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.-]{31,34}(?![\w~-])",
    ),
    ("Cloudflare key", ("v1.0-",), _START + r"v1\.0-[a-f0-9]{24}-[a-f0-9]{146}"),
    (
        "Terraform token",
        (".atlasv1.",),
        r"(?<![A-Za-z0-9])[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70}",
    ),
    ("Airtable token", ("pat",), _START + r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}" + _STOP),
    ("Mailchimp key", ("-us",), r"(?<![a-z0-9])[a-f0-9]{32}-us\d{1,2}(?!\w)"),
    ("Telegram token", (":AA",), r"(?<![\w:])\d{8,10}:AA[A-Za-z0-9_-]{33}" + _STOP),
    (
        "Discord token",
        (".",),
        r"(?<![\w.-])[MNO][A-Za-z\d_-]{23,25}\.[A-Za-z\d_-]{6}\.[A-Za-z\d_-]{27,38}(?![\w.-])",
    ),
    ("PuTTY key", ("PuTTY-User-Key-File-",), r"PuTTY-User-Key-File-\d: "),
)


def _prefixed(rule: str, prefixes: str, rest: str) -> Shape:
    heads = tuple(prefixes.split())
    either = "|".join(re.escape(head) for head in heads)
    start = _PLAIN if heads[0].endswith("_") else _START
    return Shape(rule, heads, f"{start}(?:{either}){rest}")


SHAPES: tuple[Shape, ...] = (
    *(_prefixed(*row) for row in _PREFIXED),
    *(Shape(*row) for row in _OTHERS),
)
"""Secrets that say by their shape alone what they are."""

KEY_BEGIN = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
KEY_END = re.compile(r"-----END (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
KEY_LONGEST = 20_000

_WORD = (
    r"(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|credential)s?"
)

NAMED: tuple[re.Pattern[str], ...] = (
    # a = "…", "a": "…", a["b"] = "…" in code and data
    re.compile(
        _WORD + r"[A-Za-z0-9_-]{0,20}['\"]?\]?[ \t]{0,8}(?::=|=>|[:=])[ \t]{0,8}"
        r"(?P<quote>['\"])(?P<value>[^'\"\s]{8,200})(?P=quote)",
        re.IGNORECASE,
    ),
    # A_TOKEN=… in an environment file
    re.compile(
        r"^[+\- ]?(?:export )?[A-Z0-9_]{0,40}(?:PASSWORD|SECRET|TOKEN|API_?KEY|ACCESS_KEY)"
        r"[A-Z0-9_]{0,40}=(?P<value>[^\s'\"#]{12,200})[ \t]*$",
        re.MULTILINE,
    ),
    # a_token: … and a_token = … without quotes, in YAML, INI and properties files
    re.compile(
        r"^[+\- ]?[ \t]{0,40}(?:- )?[A-Za-z0-9_.-]{0,40}?" + _WORD + r"[A-Za-z0-9_]{0,20}"
        r"[ \t]{0,8}[:=][ \t]{0,8}(?P<value>(?=[^\s]*\d)[A-Za-z0-9+/_~!@%^&*=-]{16,200})[ \t]*$",
        re.MULTILINE | re.IGNORECASE,
    ),
    # https://user:password@host
    re.compile(r"://[^\s:/?#\[\]@'\"<>]{0,64}:(?P<value>[^\s:/?#\[\]@'\"<>]{6,200})@[A-Za-z0-9\[]"),
    # Authorization: Bearer …
    re.compile(
        r"authorization['\"]?[ \t]{0,8}[:=,][ \t]{0,8}[fbru]?['\"]?(?:bearer|basic|token|bot)[ \t]"
        r"(?P<value>[A-Za-z0-9._~+/=-]{16,1000})",
        re.IGNORECASE,
    ),
    # .npmrc and .netrc
    re.compile(r":_(?:authToken|auth|password)[ \t]{0,4}=[ \t]{0,4}(?P<value>[^\s'\"]{12,300})"),
    re.compile(r"\blogin[ \t]{1,8}[^\s]{1,100}[ \t]{1,8}password[ \t]{1,8}(?P<value>[^\s]{8,200})"),
)
"""Secrets that only the word beside them gives away; the group ``value`` must look random."""

PLACEHOLDER = re.compile(
    r"example|changeme|change-me|placeholder|your[-_ ]|dummy|fake|sample|redacted|xxxx|1234567"
    r"|\.\.\.|\*\*\*|\$\{|\$\(|\{\{|%\(|<[a-z]|process\.env|os\.environ|getenv|secrets\.|://",
    re.IGNORECASE,
)
