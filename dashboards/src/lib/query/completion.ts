/** What may stand where the cursor is: names, and behind a name its values. */
import { NAMES } from './names';
import { quoted } from './edit';
import { tokensOf } from './tokens';

export interface Wanted {
  /** From here to the cursor stands what an option replaces. */
  from: number;
  /** Behind which name; null where a name may begin. */
  name: string | null;
  typed: string;
}

export interface Option {
  label: string;
  /** What is written. */
  apply: string;
  detail: string;
}

const SEVERITY_VALUES = ['>=err', '>=warning', 'emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'];
const FLAG_VALUES = ['truncated', 'unparsed', 'host_unverified', 'skewed'];
const LEVEL_VALUES = ['TRACE', 'DEBUG', 'INFO', 'SUCCESS', 'WARNING', 'ERROR', 'CRITICAL'];
const STAGES: readonly Option[] = [
  { label: '| count', apply: '| count', detail: 'how many lines' },
  { label: '| count by host', apply: '| count by host', detail: 'for each host' },
  { label: '| count by service, severity', apply: '| count by service, severity', detail: 'for each pair' },
  { label: '| count by 5m', apply: '| count by 5m', detail: 'over time' },
  { label: '| top 10 message', apply: '| top 10 message', detail: 'the most frequent' },
];
const FIXED_VALUES: Readonly<Record<string, readonly string[]>> = {
  severity: SEVERITY_VALUES,
  flags: FLAG_VALUES,
  level: LEVEL_VALUES,
};

/** Values of a name that are known without asking. */
export function fixedValues(name: string): readonly string[] {
  return Object.hasOwn(FIXED_VALUES, name) ? FIXED_VALUES[name]! : [];
}

/** What is wanted at `cursor`; null within a text or a regular expression, and behind a pipe. */
export function wantedAt(query: string, cursor: number): Wanted | null {
  const before = query.slice(0, cursor);
  const tokens = tokensOf(before);
  const last = tokens.at(-1);
  if (tokens.some((token) => token.kind === 'pipe')) return null;
  const none: Wanted = { from: cursor, name: null, typed: '' };
  if (last === undefined || last.to < cursor || last.text === '-') return none;
  switch (last.kind) {
    case 'name':
      return { from: cursor, name: last.text.slice(0, -1), typed: '' };
    case 'word':
      return { from: last.from, name: null, typed: last.text };
    case 'paren':
    case 'logic':
      return last.text === '(' || last.text === '-' ? none : null;
    case 'value':
    case 'order':
    case 'string': {
      const from = last.kind === 'value' && tokens.at(-2)?.kind === 'order' ? tokens.at(-2)!.from : last.from;
      const name = tokens.findLast((token) => token.to === from && token.kind === 'name');
      return name === undefined ? null : { from, name: name.text.slice(0, -1), typed: before.slice(from) };
    }
    default:
      return null;
  }
}

/** Names that fit, and stages where a query may end. */
export function nameOptions(typed: string): Option[] {
  const start = typed.toLowerCase();
  const names = NAMES.filter((each) => each.name.startsWith(start)).map((each) => ({
    label: each.name,
    apply: each.name.endsWith('.') ? each.name : `${each.name}:`,
    detail: each.about,
  }));
  return start === '' ? [...names, ...STAGES] : names;
}

/** Of `values` those that hold what was typed, those that begin with it first. */
export function valueOptions(typed: string, values: readonly { value: string; detail: string }[]): Option[] {
  const sought = typed.replace(/^"|"$/g, '').toLowerCase();
  const place = (value: string): number => value.toLowerCase().indexOf(sought);
  return values
    .filter(({ value }) => place(value) >= 0 && value !== typed)
    .sort((a, b) => Math.sign(place(a.value)) - Math.sign(place(b.value)))
    .map(({ value, detail }) => ({ label: value, apply: /^>=?/.test(value) ? value : quoted(value), detail }));
}
