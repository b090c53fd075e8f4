"""The language in which operators ask for log lines: what they know of Lucene and Kibana, and what they would expect.

A query is conditions, and perhaps one stage: `host:compute-01 severity:>=err "live migration" | count by host, 5m`.

Words. `timeout` and `"live migration"` look anywhere, in whatever case: in the message, `request_id`, `instance`, and
the values of the fields (what a classic line has in its text, a structured one has there). Not in other columns: name
those. A word is not a whole word: `migr` finds migration. In it `*` stands for any characters and `?` for one.
`/.../` is a regular expression on the message.

Names. `host:X`, `service:X` and the other columns compare the whole value, whose case counts; `level` in whatever
case; `message:X` looks into it. `host:compute-*` takes wildcards, `host:/^compute-0[1-3]$/` a regular expression
found anywhere in the value, `host:(a OR b AND NOT c)` several tests, `host:*` (or `_exists_:host`) any value at all.
`fields.KEY:X` asks for a key of a JSON body, `fields.a.b` for the key `a.b` or else for `b` in `a`, `fields."my key"`
for any key; a name that is no column needs no prefix: `status:500`.

Order. `status:>=500`, `status:[500 TO 599]`, with `{` or `}` without that end, with `*` open. Where all the values of
a test are numbers it goes by number, and rows whose value is none are not wanted; in quotation marks, or with a value
that is no number, it goes by character. In fields `status:500` is also 500.0 and "500". Severities are in the order
of what is worse: `severity:>=err` is err, crit, alert and emerg. A time is as long as it is precise, and UTC without
a zone: `time:2027-01-31` is all of that day, `time:>2027-01-31T14` from 15:00 on; `time` is that of arrival,
`timestamp` the emitter's. Facilities go by name (`facility:local*`), flags too (`flags:skewed`).

Logic. Conditions side by side must all hold. NOT (or `-`) binds before AND, AND before OR; parentheses as usual. The
three are in capitals: in other case they are refused rather than taken for words. `-service:nova-api` wants rows
without a service too: what is not there does not equal.

Signs. Between quotation marks all is as it stands, but for \\", \\\\, \\n, \\t and \\r. Outside, a backslash takes
the next sign as it is. There are no escapes of letters: `\\d` is a mistake rather than a d. A slash within a regular
expression is `\\/`; its syntax is RE2's, whose case counts unless it begins with `(?i)`.

Stages. `| count`, `| count by host, status`, `| count by 5m`, `| count by host, 1h`, `| top 10 message`.

Limits. 16,384 characters, 256 conditions, 32 levels of parentheses and NOT, 8 regular expressions of 256 characters
whose repetitions stay small, 16 wildcards in a word, 1,000 characters in what is looked for inside of texts.
"""
