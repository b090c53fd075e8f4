"""Secrets leave a log line where it is emitted: message, traceback and fields in, the same with `***` for them out."""

import re
from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final
from uuid import UUID

MARK: Final = "***"
MAX_DEPTH: Final = 16
MAX_VALUES: Final = 10_000

_MAX_NAME = 64
_PLAIN = (bool, int, float, Decimal, date, time, timedelta, UUID)
_Container = Mapping[object, object] | list[object] | tuple[object, ...] | set[object] | frozenset[object]


def redact_text(text: str) -> str:
    """`text` with the mark in place of every secret it shows; what stood around a secret, its quotes included, stays.

    A secret is known by its name (`adminPass`), its place (`mysql://nova:here@`) or its form (a PEM private key).
    An unquoted secret ends at white space, so a pass phrase with spaces goes whole only between quotes. A quote that
    never closes hides the rest of the text. Redacting twice changes nothing more; the time grows with the length only.
    """
    lowered = text.lower()
    for trigger in _TRIGGERS:  # a loop: any() over a generator takes twice as long, and most lines get no further
        if trigger in lowered:
            return _apply_rules(text, lowered)
    return text


def redact_fields(fields: Mapping[str, object]) -> dict[str, object]:
    """A copy of `fields` in which no secret is left: dicts, lists, tuples, strings, bytes, numbers, dates.

    The value under a secret name becomes the mark whatever it is, except None, booleans and what is empty. So does
    what lies deeper than `MAX_DEPTH`, inside itself, or beyond the first `MAX_VALUES` values. Keys become strings;
    sets become lists; any other object becomes its text, which is redacted as such.
    """
    return _Walk().mapping(fields, depth=0)


@dataclass(slots=True)
class _Walk:
    """One pass over structured fields; counts values, and knows which containers it is inside of."""

    left: int = MAX_VALUES
    inside: set[int] = field(default_factory=set)

    def mapping(self, values: Mapping[object, object] | Mapping[str, object], depth: int) -> dict[str, object]:
        pairs = {_text_of(key): value for key, value in values.items()}
        redacted = {
            redact_text(key): self._hidden(value) if _is_secret_name(key) else self._value(value, depth + 1)
            for key, value in pairs.items()
        }
        # {"name": "password", "value": "x"}, as form fields and metadata items are written.
        if "value" in pairs and any(_names_secret(pairs.get(label)) for label in ("name", "key")):
            redacted["value"] = self._hidden(pairs["value"])
        return redacted

    def _value(self, value: object, depth: int) -> object:
        self.left -= 1
        if self.left < 0:
            return MARK
        if isinstance(value, str):
            return redact_text(value)
        if value is None or isinstance(value, _PLAIN):
            return value
        if isinstance(value, bytes | bytearray):
            return redact_text(value.decode("latin-1")).encode("latin-1")
        if isinstance(value, Mapping | list | tuple | set | frozenset):
            return self._container(value, depth)
        return redact_text(_text_of(value))

    def _container(self, value: _Container, depth: int) -> object:
        if depth > MAX_DEPTH or id(value) in self.inside:
            return MARK
        self.inside.add(id(value))
        try:
            if isinstance(value, Mapping):
                return self.mapping(value, depth)
            if isinstance(value, tuple) and hasattr(value, "_asdict"):  # a named tuple has names to judge by
                return self.mapping(value._asdict(), depth)
            items = self._items(value, depth)
            return tuple(items) if isinstance(value, tuple) else items
        finally:
            self.inside.discard(id(value))

    def _items(self, values: Iterable[object], depth: int) -> list[object]:
        """Also hides what follows a secret name as in a header's pair, or as in a command's `--password`, `x`."""
        items = list(values)
        is_pair = len(items) == 2
        redacted: list[object] = []
        previous: object = None
        for item in items:
            follows = isinstance(previous, str | bytes) and (is_pair or _text_of(previous).startswith("-"))
            redacted.append(self._hidden(item) if follows and _names_secret(previous) else self._value(item, depth + 1))
            previous = item
        return redacted

    def _hidden(self, value: object) -> object:
        is_empty = value is None or isinstance(value, bool) or (isinstance(value, Sized) and len(value) == 0)
        return value if is_empty else MARK


def _names_secret(value: object) -> bool:
    return isinstance(value, str | bytes) and _is_secret_name(_text_of(value))


def _text_of(value: object) -> str:
    if isinstance(value, str):
        return value
    try:
        return value.decode("latin-1") if isinstance(value, bytes) else str(value)
    except Exception as exc:  # noqa: BLE001  a foreign __str__ may raise anything, and a log call must not
        return f"<{type(value).__name__}: no text, {type(exc).__name__}>"


def _is_secret_name(name: str) -> bool:
    return _ends_as_secret(name[-_MAX_NAME:])


@lru_cache(maxsize=1024)
def _ends_as_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def _behind(end: str, words: str) -> str:
    """Look-behinds for each of `words` with `end`, which was just matched; one each, as each has a width of its own."""
    return "|".join(f"(?<={word}{joint}{end})" for word in words.split() for joint in ("", "[ _-]"))


def _until(end: str, name: str, least: int = 1) -> str:
    """Group `name` on what stands before the next `end`, or on all that is left; `least` (0, 1) characters long.

    It is looked for ahead and then stepped over: what a look-ahead has found is not searched again when the rest of
    a pattern fails. A lazy dot takes the time of the length once, and no memory, whatever it runs across.
    """
    return rf"(?=(?P<{name}>(?:(?!{end}).){{{least}}}.*?)(?:{end}|\Z))(?P={name})"


_OWNERS = "admin bind db guest key ldap mysql new nova old rabbit rescue root service ssh store user vnc"
_PURPOSES = "aes api auth credential crypt encryption fernet hmac master private session shared signing url"

# A secret's name, by its end: whatever stands in front of it (`os_`, `X-Auth-`) is left alone and so need not be read.
# Where a word has innocent relatives (`compass`, `secretary`, `token_count`), the look-arounds say which.
# All begin with one of five letters, which is what keeps the search for them short.
_NAME = rf"""(?=(?-i:[JjKkPpSsTt]))(?:
    (?:passwords?|(?<!/)passwd|passphrase|passcode)
        (?:[_-]?(?:hash|again|old|new|confirm|confirmation|plain|text|value|base64|b64))?
  | pass(?:{_behind("pass", _OWNERS)})
  | (?<=[a-z])(?-i:Pass)
  | (?<![a-z])pass(?!(?<![a-z_-]pass)\s?:\s?\d{{1,4}}(?!\w))
  | (?<![a-z])pwd(?!\W{{1,4}}/)
  | token(?:[ _-]?(?:id|value|hash))?
  | (?:token|secret)s(?=\\{{0,8}}["']?\s?[:=]\s?[\[(])
  | secret(?:[ _-]?(?:access[ _-]?)?keys?|[_-]?(?:value|hash|base64|b64))?
  | key(?:{_behind("key", _PURPOSES)})
        s?(?!\W{{1,6}}/(?:etc|home|opt|root|run|srv|tmp|usr|var)/)
  | (?<=-)signature | signature(?=\s*=|%3D|\\{{0,8}}["']\s*:) | (?<=temp_url_)sig
  | sessionid | (?<=php)sessid
)(?:_?\d{{1,2}})?"""

# Quotes as they look after one or more rounds of JSON, XML, URL or CSV encoding; what may follow one that closes.
_WRAPPED_QUOTE = r"""(?:
    \\{1,8}["'`] | \\{1,8}u002[27] | &(?:quot|apos|\#0?3[49]|\#x2[27]); | %2[27]
  | \"{3} | '{3} | (?:\"\"|'')(?=[^\s,;:)\]}"'`&<>|])
)"""
_QUOTE = r"""(?:\\{0,8}["'`]|\\{1,8}u002[27]|&(?:quot|apos|\#0?3[49]|\#x2[27]);|%2[27])"""
_END = r"""(?=[\s,;:.)\]}&<>|\\"'`]|/>|%[2357][0-9a-f]|\Z)"""

_COLOUR = r"(?:\x1b\[[\d;]{0,8}m)"
_GAP = rf"[\s\xa0\u200b]*(?:{_COLOUR}[\s\xa0\u200b]*)*"
_ASSIGN = r"(?:=>|->|:=|\\{0,8}(?:={1,2}|:)|%(?:25){0,3}3[AD]|\\{1,8}u003[ad]|[\uff1a\uff1d])[\xa0\u200b]?"
_SEPARATOR = rf"""(?:
    {_QUOTE}{{0,3}}(?:\]|%5D)?{_GAP}{_ASSIGN}{_COLOUR}?
  | \((?=\s*[ub]?["'])
  | {_QUOTE},?\s{{0,8}}[ub]?{_QUOTE}?value{_QUOTE}?\s*[:=]
  | [ \t]*\|(?=[^|\r\n]{{1,300}}\|[ \t]*(?:[\r\n]|\Z))
)"""

# What follows a quote or bracket that closes more than the secret.
_TAIL = r"""(?=[)\]}"'`\\]{0,8}(?:
    \s | </ | [,;:.](?:[\s"'`{\[(\\]|[ub]["']|\Z) | [,;][\w.-]{1,64}["']?\s?[=:] | \Z
))"""

# Where a secret without quotes ends: before the next pair, a closing quote or bracket, markup, or an escaped new line.
_STOP = rf"""(?:
    \\{{0,8}}["'`]{_TAIL}
  | [,;](?=\s|\Z|[\w.-]{{1,64}}["']?\s?[=:]\S)
  | &(?:(?:amp;)?[\w.%\[\]-]{{1,64}}=|lt;/|(?:quot|apos|\#3[49]);{_TAIL})
  | [)\]}}]{_TAIL}
  | [.:](?=\s|\Z)
  | </[\w:.-]{{1,64}}>
  | %(?:25){{0,3}}26(?=[\w.-]{{1,64}}%(?:25){{0,3}}3D)
  | %2[27](?=[&\s]|\Z)
  | \\{{1,8}}u0026(?=[\w.-]{{1,64}}(?:=|\\{{1,8}}u003d)) | \\{{1,8}}u003c/
  | \\{{1,8}}r\\{{1,8}}n
  | \\{{1,8}}n(?=["'`\\\s]|[\w.-]{{1,64}}\s?[=:]|\Z)
)"""
_BARE_END = rf"(?:\s|{_STOP})"
_BARE = _until(_BARE_END, "bare")
_QUOTED_END = rf"(?<!\\)(?P=quote){_END}"
_QUOTED = rf"""(?P<quote>{_WRAPPED_QUOTE}|["'`]){_until(_QUOTED_END, "quoted", least=0)}(?:(?P=quote)|\Z)"""
_PAIR = rf"[\[(]\s{{0,8}}[ub]{{0,2}}{_QUOTE}[\w.-]{{0,40}}?{_NAME}{_QUOTE}\s{{0,8}},"
_PAIR_CHARS = 200
_BLANK = r"""(?:
    (?:none|null|nil|undefined|true|false|yes|no|must|too|not|invalid|required|missing|expired|filter_factory)
    (?=[\s"'`\\&<>|]|[,;:.)\]}]{1,8}(?:[\s"'`\\&<]|\Z)|[,;][\w.-]{1,64}["']?\s?[:=]|\Z)
  | \{(?=[\s"'`\\&}]|[ub]["']|[\w-]{1,64}["']?\s?[:=]|\Z)
)"""
_VALUE = rf"""(?:
    \s*[ub]{{0,2}}(?:{_QUOTED})
  | [ \t]*[\u2018\u201c]([^\u2019\u201d]*)(?![^\u2019\u201d])
  | [ \t]*\[{{1,4}}([^\[\]]*)(?:\]|\Z)
  | [ \t]*(?!{_BLANK}){_BARE}
  | \s*(?!{_BLANK}|[\w.-]{{1,64}}\s?[=:]|\[|\S*?{_STOP})(\S+)(?=[ \t]*(?:[\r\n]|\Z))
)"""
_LINE_END = r"""(?:[\r\n]|\\{0,8}["'`](?=[\s)\]}\\]|,\s?[ub]?["'\\]|\Z)|\\{1,8}[rn]|</)"""
_LINE = _until(_LINE_END, "line")
_ELEMENT_END = r"(?:<|\]\]>)"
_ESCAPED_ELEMENT_END = r"(?:<|&lt;|\\{1,8}u003c)"
# Up to the last @ of a URL's host, or of the first of its hosts.
_USERINFO_END = r"""(?:
    [\s/?\#<>]
  | ["'](?:[\s,;:)\]}]|\Z)
  | @(?:(?=[\w.-]{1,253}:\d{1,5},[^\s,:@/]{0,64}:)|(?![^\s/?\#<>@]*@))
)"""
_BECOMES = r"""
    (?:(?:for|of)\s+(?:user\s+)?[\w.@"'-]{1,64}\s+)?
    (?:is|was|now|(?:(?:is|was|now)\s+)?(?:set|changed|reset)\s+to)"""


@dataclass(frozen=True, slots=True)
class _Rule:
    """One kind of place where secrets are; `pattern` closes its last group on the secret.

    Where it matches, there is one of `triggers`, and, where there are any, one of `needs`; both are lower case.
    """

    triggers: tuple[str, ...]
    pattern: re.Pattern[str]
    needs: tuple[str, ...]


def _rule(pattern: str, *triggers: str, needs: tuple[str, ...] = ()) -> _Rule:
    return _Rule(triggers, re.compile(pattern, re.VERBOSE | re.IGNORECASE | re.ASCII | re.DOTALL), needs)


def _mask(match: re.Match[str]) -> str:
    whole, offset = match[0], match.start()
    start, end = match.span(match.lastindex or 0)
    return whole if start == end else whole[: start - offset] + MARK + whole[end - offset :]


def _apply_rules(text: str, lowered: str) -> str:
    for rule in _RULES:
        has_needs = not rule.needs or any(need in lowered for need in rule.needs)
        if has_needs and any(trigger in lowered for trigger in rule.triggers):
            text = rule.pattern.sub(_mask, text)
    return text


_NAME_TRIGGERS = ("pass", "token", "secret", "key", "pwd", "signature", "_sig", "sessid", "sessionid")

# No pattern may take longer than its input is long: what repeats is bounded, ends where nothing else could go on, or
# is stepped over by `_until`. None is possessive or atomic: Python before 3.11.5 matches such patterns wrongly.
_RULES: Final = (
    # Whole blocks before the pairs inside them.
    _rule(
        r"(-----BEGIN[A-Z0-9 ]{0,40}PRIVATE\ KEY(?:\ BLOCK)?-----.*?"
        r"(?:-----END[A-Z0-9 ]{0,40}PRIVATE\ KEY(?:\ BLOCK)?-----|\Z))",
        "private key",
    ),
    # scheme://user:secret@host: the secret may hold @ and quotes; then one with a slash, unless a port came first.
    _rule(
        rf"""(?::(?:\\{{0,8}}/){{2}}[^\s/?\#:@\[<>"']* | ,[\w.%-]{{0,64}}(?=:[^\s,@/]{{1,256}}@[\w.-]{{1,253}}:\d)):
        (?:
            {_until(_USERINFO_END, "userinfo", least=0)}@
          | (?!\d{{1,5}}[/?\#])([^\s<>"'@]{{1,256}})@(?=[\w.\[-])
        )""",
        "://",
        ":\\",
        needs=("@",),
    ),
    _rule(r"%3A%2F%2F[^\s%&]{0,64}%3A([^\s&\"'<>]{1,256}?)%40", "%3a%2f%2f"),
    _rule(
        rf"""authorization(?:{_SEPARATOR}|{_QUOTE}\s{{0,8}},(?=\s{{0,8}}[ub]?["']))\s*(?!\s)(?:[ub]{{0,2}}{_QUOTE})?
        (?:(?:Bearer|Basic|AWS|Token|Negotiate|NTLM)(?:\s+|%20|\+)(?!{_BLANK}){_BARE}
          | (?:(?:AWS4-[\w-]{{1,32}}|Digest|OAuth|Hawk)\s+(?!\s))?(?!{_BLANK}){_LINE})""",
        "authorization",
    ),
    _rule(r"bearer\s+(?=[^\s]{0,64}\d)([\w.~+/=-]{16,})", "bearer"),
    _rule(
        rf"cookie(?:{_SEPARATOR}|{_QUOTE}\s{{0,8}},(?=\s{{0,8}}[ub]?[\"']))"
        rf"(?:\s*[ub]{{0,2}}(?:{_QUOTED})|[ \t]*(?![ \t{{]){_LINE})",
        "cookie",
    ),
    # The body of a Keystone token: its id may stand behind other pairs and one level of objects.
    _rule(
        rf"""token{_QUOTE}?\s*[:=]\s*\{{
        (?=(?P<before>(?:[^{{}}]*\{{[^{{}}]*\}})*?[^{{}}]*?(?<!\w)id{_QUOTE}?\s*[:=]))(?P=before){_VALUE}""",
        "token",
    ),
    _rule(rf"<token(?=\s)[^<>]{{0,400}}?\sid={_VALUE}", "<token"),
    _rule(rf"field/attribute\ \S{{0,64}}?{_NAME}\.\ Value:\ {_LINE}", "field/attribute"),
    _rule(
        rf"""(?:<|&lt;|\\{{1,8}}u003c)(?:[\w.-]{{1,40}}:|[\w:]{{1,40}}\s(?:key|name)=["'])?[\w.-]{{0,40}}?{_NAME}["']?
        (?:\s[^<>]{{0,300}})?(?<!/)(?:
            >(?:<!\[CDATA\[)?\s*(?!\s){_until(_ELEMENT_END, "element")}
          | (?:&gt;|\\{{1,8}}u003e)\s*(?!\s){_until(_ESCAPED_ELEMENT_END, "escaped")}
        )""",
        "<",
        "&lt;",
        "u003c",
        needs=_NAME_TRIGGERS,
    ),
    _rule(rf"{_NAME}{_SEPARATOR}{_VALUE}", *_NAME_TRIGGERS),
    # Command lines, as typed and as the list a program was started with.
    _rule(
        rf"""(?<![\w-])--?[a-z0-9_-]{{0,40}}?(?:{_NAME}|cookie)(?:{_QUOTE},\s*|\s+)
        (?!\s|-|(?:and|argument|cannot|can|expects?|flag|for|from|has|in|instead|is|must|not|option|or|requires?|should|to|was
            |with)\b){_VALUE}""",
        *_NAME_TRIGGERS,
        "--cookie",
    ),
    _rule(
        rf"""(?:sshpass[^\r\n|;]{{0,40}}?\s["']?-p | mysql[^\r\n|;]{{0,200}}?\s["']?(?-i:-p)(?=\S)
          | ipmitool[^\r\n|;]{{0,200}}?\s["']?(?-i:-P)
          | redis-cli[^\r\n|;]{{0,200}}?\s["']?-a(?=\W) | ldap[a-z]{{3,8}}[^\r\n|;]{{0,200}}?\s["']?-w(?=\W)
          | curl[^\r\n|;]{{0,200}}?\s["']?(?:-u|-U|--user|--proxy-user)[\s"',=]{{1,5}}[^\s:"']{{0,64}}:
          | password(?:_in)?["']?,?\s+["']?(?:-v|--value)(?=\W))
        (?:["'],\s?|=)?{_VALUE}""",
        "sshpass",
        "mysql",
        "ipmitool",
        "redis-cli",
        "ldap",
        "curl",
        "password",
    ),
    _rule(
        # A pair as Python and JSON write it: `('password', 'x')`. What is long is taken for a secret wherever it ends:
        # to look for the bracket behind a far quote from every pair would take the square of the length.
        rf"""{_PAIR}\s{{0,8}}[ub]{{0,2}}(?P<quote>{_WRAPPED_QUOTE}|["'`])
        (?P<quoted>(?:(?!{_QUOTED_END}).){{0,{_PAIR_CHARS}}})(?P=quote)(?=\s{{0,8}}[\])])""",
        *_NAME_TRIGGERS,
    ),
    _rule(
        rf"""{_PAIR}\s{{0,8}}[ub]{{0,2}}(?P<quote>{_WRAPPED_QUOTE}|["'`])
        (?=(?:(?!{_QUOTED_END}).){{{_PAIR_CHARS + 1}}}){_until(_QUOTED_END, "quoted")}""",
        *_NAME_TRIGGERS,
    ),
    _rule(
        rf"{_PAIR}[ \t]*(?!{_BLANK}|\s|[ub]{{0,2}}{_QUOTE})([^\s,\[\](){{}}]{{1,{_PAIR_CHARS}}})(?=\s{{0,8}}[\])])",
        *_NAME_TRIGGERS,
    ),
    _rule(r"(?<=[\s\"'])[\w.-]{1,32}:([^\s\"'|]{1,128})[\"']?\s{0,4}\|\s{0,4}(?:sudo\s)?chpasswd", "chpasswd"),
    # Prose.
    _rule(rf"identified\s+(?:with\s+\S{{1,64}}\s+)?by\s+(?:password\s+)?(?:{_QUOTED})", "identified"),
    _rule(
        rf"""(?:password|passphrase)\s+(?:
            (?:{_BECOMES}\s+)?[ub]?(?:{_QUOTED})
          | {_BECOMES}\s+(?=\S{{0,64}}\d)(?=\S{{0,64}}[a-z])(?=\S{{6}}){_BARE}
        )""",
        "password",
        "passphrase",
    ),
    _rule(
        r"""token\s+(?:(?:id|is|was)\s+)?[ub]?["'`]?(?!req-)(?=[^\s]{0,64}\d)([\w=.+/-]{24,})""",
        "token",
    ),
    # Known by their form: Fernet and PKI tokens of Keystone, JSON web tokens, keys of Ceph.
    _rule(r"cloudlog_[0-9a-f]{16}_([\w-]{16,64})", "cloudlog_"),  # the collector's own keys: who one is may be read
    _rule(r"""(?<![\w+-])(gAAAAA[\w-]{50,}={0,2})""", "gaaaaa"),  # behind a slash too: v2.0 has them in paths
    _rule(
        r"""(?<![\w/+-])((?:MII|PKIZ_)[\w+/-]{150,}={0,2}
            | eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,} | AQ[\w+/]{36}==)""",
        "mii",
        "pkiz_",
        "eyj",
        "==",
    ),
)
_ALL_TRIGGERS = {trigger for rule in _RULES for trigger in rule.triggers}
_TRIGGERS: Final = tuple(  # the shortest: `password` is found by `pass`
    sorted(one for one in _ALL_TRIGGERS if not any(other in one for other in _ALL_TRIGGERS - {one}))
)
SIGNS: Final = tuple(dict.fromkeys((rule.triggers, rule.needs) for rule in _RULES))
"""For a search of many texts at once: one without a secret by the rules above, and no secret's name, has none of these.

Each is strings of which one must be there, in whatever ASCII case, and more of which, if any, one must be there too.
"""
_SECRET_NAME: Final = re.compile(
    rf"(?:{_NAME}|authorization|cookie|signature)\Z", re.VERBOSE | re.IGNORECASE | re.ASCII
)
