/** Clicks on values as changes of the query's text. */
import { splitPipe, tokensOf, type Token } from './tokens';

const PLAIN = /^[A-Za-z0-9_][A-Za-z0-9_.@-]*$/;
const LOGIC = /^(?:and|or|not)$/i;
const ESCAPES: Record<string, string> = { '\n': '\\n', '\t': '\\t', '\r': '\\r', '"': '\\"', '\\': '\\\\' };

/** A test that all must pass: its name and values, as they are written. */
interface Clause {
  from: number;
  to: number;
  isExcluding: boolean;
  name: string;
  values: string[];
}

export type Part = 'included' | 'excluded' | null;

/** `value` as the language writes it. */
export function quoted(value: string): string {
  if (PLAIN.test(value) && !LOGIC.test(value)) return value;
  return `"${value.replace(/[\n\t\r"\\]/g, (sign) => ESCAPES[sign]!)}"`;
}

/** A key of the fields as a name of the language. */
export function fieldName(key: string): string {
  return /^[A-Za-z_][A-Za-z0-9_.]*$/.test(key) ? `fields.${key}` : `fields.${quotedAlways(key)}`;
}

/** `name:value`; for null what is true of lines that have none. */
export function term(name: string, value: string | null, isExcluding = false): string {
  if (value === null) return `${isExcluding ? '' : '-'}${name}:*`;
  return `${isExcluding ? '-' : ''}${name}:${quoted(value)}`;
}

/** What part a value has in a query already. */
export function partOf(query: string, name: string, value: string | null): Part {
  const { condition } = splitPipe(query);
  if (hasOr(condition)) return null;
  const clauses = clausesOf(condition);
  if (value === null) {
    const whole = clauses.find((each) => each.name === name && each.values.length === 1 && each.values[0] === '*');
    return whole === undefined ? null : whole.isExcluding ? 'included' : 'excluded';
  }
  const found = clauses.find((each) => each.name === name && each.values.includes(quoted(value)));
  return found === undefined ? null : found.isExcluding ? 'excluded' : 'included';
}

/**
 * The query with a value included or excluded; without it, where it was so already. Several values of one name are
 * alternatives: `host:(a OR b)`.
 */
export function toggled(query: string, name: string, value: string | null, isExcluding: boolean): string {
  const { condition, stage } = splitPipe(query);
  return [changed(condition, name, value, isExcluding), stage].filter((part) => part !== '').join(' ');
}

function changed(condition: string, name: string, value: string | null, isExcluding: boolean): string {
  const added = term(name, value, isExcluding);
  if (condition === '') return added;
  if (hasOr(condition)) return `(${condition}) ${added}`;
  const part = partOf(condition, name, value);
  const rest = part === null ? condition : without(condition, name, value);
  if (part === (isExcluding ? 'excluded' : 'included')) return rest;
  if (!isExcluding && value !== null) {
    const beside = clausesOf(rest).find((each) => each.name === name && !each.isExcluding && !each.values.includes('*'));
    if (beside !== undefined) return replaced(rest, beside, [...beside.values, quoted(value)]);
  }
  return `${rest} ${added}`.trim();
}

function without(condition: string, name: string, value: string | null): string {
  const written = value === null ? '*' : quoted(value);
  const clause = clausesOf(condition).find((each) => each.name === name && each.values.includes(written));
  if (clause === undefined) return condition;
  return replaced(
    condition,
    clause,
    clause.values.filter((each) => each !== written),
  );
}

function replaced(condition: string, clause: Clause, values: string[]): string {
  const sign = clause.isExcluding ? '-' : '';
  const test = values.length > 1 ? `(${values.join(' OR ')})` : (values[0] ?? '');
  const text = test === '' ? '' : `${sign}${clause.name}:${test}`;
  const parts = [condition.slice(0, clause.from).trim(), text, condition.slice(clause.to).trim()];
  return parts.filter((part) => part !== '').join(' ');
}

/** The tests at the top level that compare a name with values and nothing more. */
function clausesOf(condition: string): Clause[] {
  const tokens = tokensOf(condition);
  const found: Clause[] = [];
  let depth = 0;
  tokens.forEach((token, index) => {
    if (token.kind === 'paren') depth += token.text === '(' ? 1 : -1;
    if (token.kind !== 'name' || depth > 0) return;
    const sign = tokens[index - 1];
    const isExcluding = sign?.text === '-' && sign.to === token.from;
    if (sign?.text === 'NOT') return;
    const values = valuesBehind(tokens, index);
    if (values === null) return;
    const from = isExcluding ? sign.from : token.from;
    found.push({ from, to: values.to, isExcluding, name: token.text.slice(0, -1), values: values.texts });
  });
  return found;
}

function valuesBehind(tokens: Token[], index: number): { texts: string[]; to: number } | null {
  const first = tokens[index + 1];
  if (first === undefined || first.from !== tokens[index]!.to) return null;
  if (first.kind === 'value' || first.kind === 'string') return { texts: [first.text], to: first.to };
  if (first.text !== '(') return null;
  const texts: string[] = [];
  for (let at = index + 2; at + 1 < tokens.length; at += 2) {
    const [value, next] = [tokens[at]!, tokens[at + 1]!];
    if (value.kind !== 'word' && value.kind !== 'string') return null;
    texts.push(value.text);
    if (next.text === ')') return { texts, to: next.to };
    if (next.text !== 'OR') return null;
  }
  return null;
}

function hasOr(condition: string): boolean {
  let depth = 0;
  return tokensOf(condition).some((token) => {
    if (token.kind === 'paren') depth += token.text === '(' ? 1 : -1;
    return depth === 0 && token.kind === 'logic' && token.text === 'OR';
  });
}

function quotedAlways(text: string): string {
  return `"${text.replace(/["\\]/g, (sign) => `\\${sign}`)}"`;
}
