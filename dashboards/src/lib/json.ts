/**
 * JSON whose whole numbers stay as they were written: those that a `number` cannot hold are bigints. Older browsers do
 * not tell how a number was written; there they are numbers, and inexact.
 */

/** Whole numbers of fewer digits are exact in any case. */
const LONG = /\d{16}/;
const WHOLE = /^-?\d+$/;
/** How a number is written with digits of its own; not known to TypeScript yet. */
const { rawJSON } = JSON as { rawJSON?: (text: string) => unknown };

/** What `text` holds; a SyntaxError where it is no JSON. */
export function readJson(text: string): unknown {
  return LONG.test(text) ? (JSON.parse(text, exact) as unknown) : (JSON.parse(text) as unknown);
}

/** As `JSON.stringify` writes it, bigints as the numbers that they are. */
export function writeJson(value: unknown, indent = 0): string {
  return typeof value === 'bigint' ? String(value) : JSON.stringify(value, written, indent);
}

function exact(_key: string, value: unknown, context?: { source?: string }): unknown {
  const source = context?.source;
  if (typeof value !== 'number' || Number.isSafeInteger(value) || source === undefined) return value;
  return WHOLE.test(source) ? BigInt(source) : value;
}

function written(_key: string, value: unknown): unknown {
  if (typeof value !== 'bigint') return value;
  return rawJSON === undefined ? String(value) : rawJSON(String(value));
}
