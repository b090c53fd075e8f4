/**
 * A query cut into what it is made of, for colours, completion and clicks. Whether it can be read, only the collector
 * says; here every text has tokens, however unfinished.
 */

export type Kind =
  | 'name' // with its colon
  | 'value'
  | 'word'
  | 'string'
  | 'regex'
  | 'logic' // AND, OR, NOT and the minus
  | 'paren'
  | 'order' // <, <=, >, >=
  | 'range' // [ ], { } and TO
  | 'pipe'
  | 'stage'; // what stands behind a pipe

export interface Token {
  kind: Kind;
  from: number;
  to: number;
  text: string;
}

const SPACE = /\s+/y;
const STRING = /"(?:[^"\\]|\\[\s\S])*"?/y;
const NAME = /(?:fields\."(?:[^"\\]|\\[\s\S])*"|[A-Za-z_@][A-Za-z0-9_@.-]*):/y;
const LOGIC = /(?:AND|OR|NOT)(?=[\s()|"]|$)/y;
const MINUS = /-(?=[^\s)|-])/y;
const REGEX = /\/(?:[^/\\\n]|\\.)+\/(?=[\s()|]|$)/y;
const ORDER = /[<>]=?/y;
const RANGE = /[[\]{}]|TO(?=\s)/y;
const RANGE_VALUE = /(?:[^\s"()|\\[\]{}]|\\[\s\S])+/y;
const PAREN = /[()]/y;
const WORD = /(?:[^\s"()|\\]|\\[\s\S])+/y;
const ANY = /[\s\S]/y;

export function tokensOf(query: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let isBehindName = false;
  let isInStage = false;
  let isInRange = false;

  const match = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    return pattern.exec(query)?.[0] ?? null;
  };
  const take = (kind: Kind, text: string): void => {
    tokens.push({ kind, from: at, to: at + text.length, text });
    at += text.length;
  };

  while (at < query.length) {
    const space = match(SPACE);
    if (space !== null) {
      at += space.length;
      if (!isInRange) isBehindName = false;
      continue;
    }
    if (query[at] === '|') {
      take('pipe', '|');
      isInStage = true;
      isBehindName = isInRange = false;
      continue;
    }
    if (isInStage) {
      take('stage', match(STRING) ?? match(WORD) ?? match(ANY)!);
      continue;
    }
    let text: string | null;
    if ((text = match(STRING)) !== null) take('string', text);
    else if (isInRange && (text = match(RANGE)) !== null) {
      if (text === ']' || text === '}') isInRange = isBehindName = false;
      take('range', text);
      continue;
    } else if (isInRange && (text = match(RANGE_VALUE)) !== null) {
      take('value', text);
      continue;
    } else if ((text = match(PAREN)) !== null) take('paren', text);
    else if (isBehindName && (text = match(ORDER)) !== null) {
      take('order', text);
      continue;
    } else if (isBehindName && /[[{]/.test(query[at]!)) {
      isInRange = true;
      take('range', query[at]!);
      continue;
    } else if ((text = match(REGEX)) !== null) take('regex', text);
    else if (!isBehindName && (text = match(LOGIC)) !== null) take('logic', text);
    else if (!isBehindName && (text = match(MINUS)) !== null) {
      take('logic', text);
      continue;
    } else if (!isBehindName && (text = match(NAME)) !== null) {
      take('name', text);
      isBehindName = true;
      continue;
    } else take(isBehindName ? 'value' : 'word', match(WORD) ?? match(ANY)!);
    isBehindName = false;
  }
  return tokens;
}

/** What is asked for, and from the first pipe on what is made of it. */
export function splitPipe(query: string): { condition: string; stage: string } {
  const pipe = tokensOf(query).find((token) => token.kind === 'pipe');
  if (pipe === undefined) return { condition: query.trim(), stage: '' };
  return { condition: query.slice(0, pipe.from).trim(), stage: query.slice(pipe.from).trim() };
}
